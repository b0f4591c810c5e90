"""Quarterly reviews on file, and their sign-off."""
