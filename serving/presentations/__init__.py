"""Presentations (.pptx) that people can edit: the portfolio for leadership, and the business review of an account."""
