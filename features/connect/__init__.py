"""Connect a company's own tools: inspect sources, recognize tools by their tables, and draft a mapping.

Nothing is read from a network, except from a database or object store whose address the user gives. A draft never
contains a password.
"""
