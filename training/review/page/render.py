def render(review): return "<html></html>"
