"""Feed health: silent feeds, level shifts, unit changes and columns that stop being filled."""
