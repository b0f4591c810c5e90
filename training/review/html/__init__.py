"""The review as an HTML document."""
