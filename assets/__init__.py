"""Dagster assets and checks: thin, they introduce the service (`hatif`) to the store (`warehouse`)."""
