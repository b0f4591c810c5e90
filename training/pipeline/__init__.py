"""The training pipeline, from signals to registered candidates."""
