"""The report of `renewcast check`: what a source contains, what was left out, what is missing, and what it shows."""
