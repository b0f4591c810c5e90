"""The file of the renewal model, apart from the model, because reading a bundle's files needs none of its libraries."""

FILE = "renewals.json"
"""The optional file of a churn bundle with its renewal model."""
