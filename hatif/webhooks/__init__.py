"""Webhooks: the receiver, the files it writes, and validated deliveries read from them.

Nothing here knows the store. A file's bytes become units (`units`), a unit a body with its receive
time and signature (`envelopes`), a body an event of a known kind (`parse`), and what cannot become
one is rejected for a named reason (`validate_unit`). `receiver` writes such files.
"""
