"""Commands that serve, score and report."""
