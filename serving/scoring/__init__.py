"""Scoring: the portfolio in batch, and accounts sent in a request."""
