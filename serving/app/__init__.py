"""Application: routes, OpenAPI description and cache warming."""
