"""Explanations: exact SHAP values of tree ensembles, and reasons in words."""
