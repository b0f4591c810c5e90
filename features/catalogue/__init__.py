"""The catalogue of all features, and the data dictionary made from it."""
