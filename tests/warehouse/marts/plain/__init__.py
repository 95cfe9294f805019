"""The definitions of docs/reference.md once more, in plain Python and pandas: slow, and on its own.

Written from the contract's sentences, not from the SQL. Riyadh time, Sunday to Thursday nine to
six, a gap of 24 hours.
"""
