"""Tables of a simulated portfolio."""
