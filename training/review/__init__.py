"""The quarterly review of the health score: evaluation against outcomes, and proposals for weights and band limits."""
