"""The quarterly review: the health score held against what happened, and changes to it proposed or, oftener, not."""
