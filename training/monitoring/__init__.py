"""Monitoring: drift and matured predictions."""
