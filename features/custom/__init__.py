"""Features that a company declares in a file of its own."""
