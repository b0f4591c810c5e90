"""Small tools that every package uses."""
