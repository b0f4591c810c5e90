"""The review as a page: one self-contained HTML file."""
