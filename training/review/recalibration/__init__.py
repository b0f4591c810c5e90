"""Proposals for new weights and band limits of a rubric."""
