"""Stores on servers: a real PostgreSQL and an S3 server; `make test-cluster` runs these."""
