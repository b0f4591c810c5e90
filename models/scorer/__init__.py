"""The scorer: turns features into probabilities without any other package of this project."""
