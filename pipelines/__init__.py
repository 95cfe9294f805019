"""Where everything is put together: what Dagster loads, and the command line."""
