"""Feed health: silent feeds, level shifts, changed units and emptying columns."""
