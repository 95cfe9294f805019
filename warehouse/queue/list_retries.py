"""Lists whose readings end without a certificate: how often in a row, and when they are due again.

A list that fails is tried again at the next run, then ever more seldom, and after all others
(``ops.list_retries``). One that is read but cannot be proven complete is read as often as a proven
one, once it has ended so often enough. A certified reading forgets all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from hatif.certificate import Certificate, Verdict
from hatif.page_reader import UNREADABLE_ROW
from hatif.scan_proof import KNOWN_UNPROVEN
from hatif.sink import ListFailure
from hatif.streams import STREAMS
from warehouse import rejects
from warehouse.lake.sql import exists, literal, seconds

#: The wait after the second failure in a row (the first costs none); each further one doubles it.
_FIRST_WAIT = timedelta(minutes=30)
_LONGEST_WAIT = timedelta(hours=24)
_DOUBLINGS = 6  # beyond the longest wait
_OF_ALL = "FROM ops.list_retries"
#: SQL for a list that was reported before: its next try is put off, or would prove no more.
IS_KNOWN = f"(retry_at > ended_at OR (verdict = 'unproven' AND times >= {KNOWN_UNPROVEN}))"


def note_failed(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    failed: Sequence[ListFailure],
    now: datetime,
) -> None:
    """Count one failure more for each list; run inside a transaction.

    Args:
        connection: inside a transaction.
        stream: whose lists.
        failed: each list once or more, why in words without customer data.
        now: the service's time.
    """
    rows = {one.parent_id: one.message for one in failed}
    wait = (
        f"least({_FIRST_WAIT.total_seconds()} * 2 ** least(times - 2, {_DOUBLINGS}), "
        f"{_LONGEST_WAIT.total_seconds()})"
    )
    retry_at = f"CASE WHEN times < 2 THEN $now ELSE $now + to_seconds({wait}) END"
    _count(
        connection, stream, Verdict.FAILED, list(rows.items()), [None] * len(rows), retry_at, now
    )


def advance(
    connection: duckdb.DuckDBPyConnection, stream: str, ended: Sequence[Certificate]
) -> None:
    """Forget lists whose scans are certified and count those that stayed unproven."""
    unproven = {c.parent_id: c for c in ended if c.verdict is Verdict.UNPROVEN}
    if any(c.verdict.certified for c in ended) and exists(
        connection, f"{_OF_ALL} WHERE stream = '{stream}'"
    ):
        proven = {c.parent_id for c in ended if c.verdict.certified} - unproven.keys()
        _forget(connection, stream, list(proven))
        _settle_rows(connection, stream, list(proven))
    if unproven:
        interval = STREAMS[stream].interval or timedelta()
        last = max(c.began_at or c.started_at for c in unproven.values())
        retry_at = (
            f"CASE WHEN times < {KNOWN_UNPROVEN} THEN $now ELSE $now + {seconds(interval)} END"
        )
        rows = [(parent, c.note) for parent, c in unproven.items()]
        signals = [c.signal for c in unproven.values()]
        _count(connection, stream, Verdict.UNPROVEN, rows, signals, retry_at, last)


def _count(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    verdict: Verdict,
    rows: Sequence[tuple[str | None, str | None]],
    signals: Sequence[str | None],
    retry_at: str,
    now: datetime,
) -> None:
    text = pa.string()
    table = {
        "parent_id": pa.array([parent for parent, _ in rows], text),
        "message": pa.array([message for _, message in rows], text),
        "signal": pa.array(signals, text),
    }
    connection.register("ended_lists", pa.table(table))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted_retries AS "
        "SELECT e.*, CASE WHEN r.verdict = $verdict THEN r.times ELSE 0 END + 1 AS times "
        "FROM ended_lists e LEFT JOIN ops.list_retries r "
        "ON r.stream = $stream AND r.parent_id IS NOT DISTINCT FROM e.parent_id",
        {"verdict": verdict.value, "stream": stream},
    )
    connection.unregister("ended_lists")
    _forget(connection, stream, [parent for parent, _ in rows])
    connection.execute(
        "INSERT INTO ops.list_retries BY NAME SELECT $stream AS stream, parent_id, "
        "$verdict AS verdict, coalesce(times, 1) AS times, message, signal, $now AS ended_at, "
        f"{retry_at} AS retry_at FROM counted_retries",
        {"stream": stream, "verdict": verdict.value, "now": now},
    )


def _settle_rows(
    connection: duckdb.DuckDBPyConnection, stream: str, parents: Sequence[str | None]
) -> None:
    """Settle the rejects of rows that a list could not deliver: now it has."""
    paths = ", ".join(literal(STREAMS[stream].list_path(parent)) for parent in parents)
    if paths:
        rejects.settle(
            connection,
            f"stream = '{stream}' AND reason = '{UNREADABLE_ROW}' "
            f"AND split_part(location, '?', 1) IN ({paths})",
        )


def _forget(
    connection: duckdb.DuckDBPyConnection, stream: str, parents: Sequence[str | None]
) -> None:
    connection.execute(
        f"DELETE {_OF_ALL} WHERE stream = $stream AND "
        "(list_contains($parents, parent_id) OR (parent_id IS NULL AND $single))",
        {"stream": stream, "parents": [p for p in parents if p], "single": None in parents},
    )


def scheduled(stream: str) -> str:
    """SQL for the lists of a stream that are known to have no certificate: reported before."""
    return f"(SELECT parent_id {_OF_ALL} WHERE stream = '{stream}' AND {IS_KNOWN})"
