"""Signals sources: a folder of files, a database, an object store, a mapping file, or tables in memory.

The tables become Ibis tables on one engine, unchanged: nothing is validated, cast or filtered here. The engine is an
in-process DuckDB, or Spark for a folder of files. A DuckDB source is confined (see `base.confine`): it can read only
the files of the source, and write only its own temporary files.
"""
