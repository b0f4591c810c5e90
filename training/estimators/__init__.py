"""Estimators: linear model, gradient boosting, blend and calibration."""
