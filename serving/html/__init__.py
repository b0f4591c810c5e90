"""HTML: templates, static files, charts and links."""
