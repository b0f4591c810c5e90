"""HTTP: authentication, limits, idempotency, problem details and metrics."""
