"""The error of a model that cannot be used."""

from __future__ import annotations


class ScorerError(ValueError):
    """A model, calibrator, schema or table cannot be used for scoring; the message says which one and why."""
