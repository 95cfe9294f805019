"""The lake itself: connection, locks, schema, invalidation log, maintenance."""
