"""The store's side: the DuckLake, what is written to it and how it is transformed.

Nothing in here knows Dagster or speaks HTTP; a lint contract in pyproject.toml keeps it so.
"""
