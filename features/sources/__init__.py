"""Opening a signals source: a folder of files, a database, a mapping file, or tables in memory.

Its tables become Ibis tables on one engine, as they were given: nothing is checked, cast or filtered here. The engine
is an in-process DuckDB, or Spark for a folder of files. An opened DuckDB source is confined (see `base.confine`): it
can read the files of the source and nothing else, and writes no file but its own temporary ones.
"""
