"""The report of `renewcast check` as one HTML document."""
