"""What requests were made for, and how many of them brought anything that was not stored yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb

from warehouse.lake.sql import seconds

#: Rows of raw name the scan that brought them: versions that are new, and deletions it showed.
_BY_REASON = """
    WITH scans AS (
        SELECT scan_id, reason, requests FROM ops.scans
        WHERE finished_at > now() - {recent} AND requests > 0
    ),
    brought AS (
        SELECT DISTINCT scan_id FROM raw.records
        WHERE fetched_at > now() - {stored} AND scan_id IS NOT NULL
    )
    SELECT coalesce(reason, 'full') AS reason, count(*), sum(requests)::BIGINT,
        coalesce(sum(requests) FILTER (brought.scan_id IS NOT NULL), 0)::BIGINT
    FROM scans LEFT JOIN brought USING (scan_id)
    GROUP BY ALL ORDER BY 3 DESC, 1
"""
#: A scan's first rows are stored before it ends; an interrupted one goes on in a later run.
_LONGEST_SCAN = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Yield:
    """The requests made for one reason; see `hatif.sink.Target`.

    Attributes:
        lists: readings of lists that ended.
        requests: made by them.
        brought: those of readings that stored a new version or a deletion.
    """

    reason: str
    lists: int
    requests: int
    brought: int

    @property
    def share(self) -> float:
        """How many of the requests brought something, 0 to 1."""
        return round(self.brought / self.requests, 4)


def by_reason(connection: duckdb.DuckDBPyConnection, recent: timedelta) -> list[Yield]:
    """Return what the readings that ended within `recent` brought, most requests first."""
    rows = connection.execute(
        _BY_REASON.format(recent=seconds(recent), stored=seconds(recent + _LONGEST_SCAN))
    ).fetchall()
    return [Yield(*row) for row in rows]
