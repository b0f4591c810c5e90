"""The application: routes, OpenAPI description and cache warming."""
