"""HTTP layer: authentication, limits, idempotency, problem details and metrics."""
