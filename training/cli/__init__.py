"""Commands that check, train, monitor and review."""
