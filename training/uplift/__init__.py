"""Effects of plays per account, fitted on randomly held-out accounts."""
