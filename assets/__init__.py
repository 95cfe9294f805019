"""Dagster assets and checks: thin, they introduce the service to the store."""
