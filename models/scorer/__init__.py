"""The scorer: everything needed to turn features into probabilities, without any other package of this project."""
