"""Backtests: refitting at past dates and comparing with what happened."""
