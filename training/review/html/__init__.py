"""The review page as HTML."""
