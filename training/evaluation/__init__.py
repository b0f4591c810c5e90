"""Evaluation: baselines, metrics by segment and horizon, and promotion gates."""
