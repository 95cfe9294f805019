"""The clock inside the service's ids.

Ids made by the service are sequential GUIDs: their first 48 bits are the milliseconds of UTC
since the year 1 at which the row was inserted. Until 2056 such ids start with ``3a``; other ids
(AI agents, hand-made ones) carry no time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


def instant_of(record_id: str) -> datetime | None:
    """Return the UTC instant at which the row with this id was inserted, None if it has none."""
    if not record_id.startswith("3a") or len(record_id) != 36:
        return None
    try:
        milliseconds = int(record_id[:8] + record_id[9:13], 16)
    except ValueError:
        return None
    return _YEAR_ONE + timedelta(milliseconds=milliseconds)
