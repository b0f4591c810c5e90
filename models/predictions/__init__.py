"""Predictions: both targets, bands, intervals, reasons and rules of every account."""
