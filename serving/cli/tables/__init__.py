"""Terminal tables of the commands."""
