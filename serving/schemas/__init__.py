"""Pydantic models that several endpoints share."""
