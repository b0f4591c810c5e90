"""Statistics: metrics, bootstrap by account, logistic regression by Newton's method."""
