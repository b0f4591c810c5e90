"""The server process: listening, workers and preloading."""
