"""Leakage checks: late arrivals, rebuilt snapshots and perturbed futures."""
