"""The service's side: everything that knows how Hatif (Voxa) talks over HTTP.

Nothing in here knows Dagster or DuckDB; a lint contract in pyproject.toml keeps it so.
"""

#: Of the whole project: pyproject.toml and ``hatif --version`` read it here.
__version__ = "0.2.0"
