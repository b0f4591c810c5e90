"""Custom features that a company declares in a TOML file."""
