"""What the tables of each page export: their columns, by the names of the JSON fields, and their rows.

Each function takes the variables of the page's template, so a file has the rows that the page shows, in its order and
with its filter, but all of them instead of one page.
"""
