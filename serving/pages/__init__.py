"""HTML pages, rendered on the server by the same application, without a front-end build."""
