"""Server process: listening socket, workers and preloading."""
