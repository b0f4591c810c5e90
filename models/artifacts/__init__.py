"""Model artifacts: bundles, model cards, the champion, and the portfolio they belong to."""
