"""The feature catalogue and the data dictionary."""
