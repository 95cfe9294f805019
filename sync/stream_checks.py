"""Checks of what was read of a stream: its lists, its records, and the keys of its tables."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from hatif.errors import HatifError
from hatif.streams import STREAMS
from sync import proven
from sync.check import (
    DRIFT,
    REJECTS,
    Check,
    CheckResult,
    by_kind,
    unique,
    unique_result,
    uniqueness,
)
from warehouse.lake.connection import Lake
from warehouse.lake.sql import scalar
from warehouse.models.model import models_of
from warehouse.records import drift
from warehouse.reports import status

_CERTIFICATE, _LISTS = "certificate_is_complete", "every_list_was_read"
#: Rows from which on the keys of a table are not all looked at again after each change.
LARGE = 200_000


def checks_of_step(stream: str) -> list[Check]:
    """Return the checks made with a stream's own reading: `drift_result` and `lists_result`."""
    return [
        Check(
            DRIFT,
            ("raw", stream),
            "The service sends no key and no code that is undocumented, its timestamps agree with "
            "its ids, and its records have ids. Made also when the step fails.",
        ),
        Check(
            _LISTS,
            ("raw", stream),
            "No list failed beside others that were read. Such a failure does not stop what hangs "
            "on the others; the next sync retries them.",
        ),
    ]


def drift_result(lake: Lake, stream: str) -> CheckResult:
    """Check for what is undocumented in a stream; only what stopped it is an error."""
    with lake.reading() as connection:
        return _drift_result(stream, drift.by_stream(connection).get(stream, []))


def _drift_result(stream: str, found: Sequence[drift.Drift]) -> CheckResult:
    first = found[0] if found else None
    return CheckResult(
        DRIFT,
        ("raw", stream),
        f"New: {first.kind} {first.what}, first in {first.example or 'the list'}; "
        f"in all {len(found)}, see ops.drift."
        if first
        else None,
        by_kind(found, "key", "code", "clock", "ids"),
        loses_nothing=not any(one.kind in drift.STOPS for one in found),
    )


def lists_result(stream: str, failed: HatifError | None) -> CheckResult:
    """Check that no list of a stream failed; `failed` names the first and how many did."""
    return CheckResult(_LISTS, ("raw", stream), None if failed is None else str(failed), {})


def checks_of_stream(stream: str) -> list[Check]:
    """Return the checks of a stream and its tables; results: `stream_results`."""
    return [
        Check(
            _CERTIFICATE,
            ("raw", stream),
            "The newest scan of every list is certified: it met every record that lives, and none "
            "that does not.",
        ),
        Check(
            REJECTS,
            ("raw", stream),
            "No record had to be set aside, those acknowledged not counted.",
        ),
        *(unique(model) for model in models_of(stream)),
    ]


def stream_results(lake: Lake, stream: str) -> list[CheckResult]:
    """Check a stream's certificates and rejects, and the keys of its tables."""
    with lake.snapshot() as connection:
        certified = status.certificates(connection, [stream])[stream]
        rejects = status.unacknowledged_rejects(connection).get(stream, 0)
        unique = [unique_result(connection, model) for model in models_of(stream)]
    return [*_reading_results(stream, certified, rejects), *unique]


def results_of_streams(lake: Lake, streams: Sequence[str]) -> dict[str, list[CheckResult]]:
    """Make the checks of streams, that of drift included; all at once, which is cheaper.

    The keys of tables are looked at where these changed since all of them were unique.
    """
    doubled = _doubled(lake)
    with lake.snapshot() as connection:
        certified = status.certificates(connection, streams)
        rejects = status.unacknowledged_rejects(connection)
        drifted = drift.by_stream(connection)
    return {
        stream: [
            _drift_result(stream, drifted.get(stream, [])),
            *_reading_results(stream, certified[stream], rejects.get(stream, 0)),
            *(uniqueness(model, doubled[model.table]) for model in models_of(stream)),
        ]
        for stream in streams
    }


def _doubled(lake: Lake) -> dict[str, int]:
    """Return how many rows share their key with another, of each table of a stream.

    A large table of which none did is looked at where records were stored since, since nothing else
    should change its keys; a day later as a whole again.
    """
    read = {model.table: model for stream in STREAMS for model in models_of(stream)}

    def make(
        connection: duckdb.DuckDBPyConnection, table: str, since: int | None
    ) -> proven.Numbers:
        model, where = read[table], "true"
        is_large = scalar(connection, f"SELECT count(*) FROM {table}") > LARGE
        if since is not None and is_large and model.grain == (model.replace,):
            where = (
                f"{model.replace} IN (SELECT record_id FROM raw.records "
                f"WHERE stream = '{model.stream}' AND seq > {since})"
            )
        return {"duplicates": status.duplicates(connection, model, where)}

    # A view has the rows of a table, so its keys are as unique.
    tables = frozenset(table for table, model in read.items() if not model.is_view)
    group = proven.Group("unique", tables, repr(sorted(read)))
    found = proven.by_table(lake, group, make, lambda numbers: not numbers["duplicates"])
    with lake.snapshot() as connection:
        found |= {table: make(connection, table, None) for table in read.keys() - tables}
    return {table: int(numbers["duplicates"]) for table, numbers in found.items()}


def _reading_results(
    stream: str, certified: tuple[int, int, int], rejects: int
) -> list[CheckResult]:
    """Return whether all lists of a stream are certified and no record is set aside."""
    lists, repaired, uncertified = certified
    return [
        CheckResult(
            _CERTIFICATE,
            ("raw", stream),
            f"{uncertified:,} of {lists:,} lists are not certified. Sync again."
            if uncertified
            else None,
            {"lists": lists, "repaired": repaired, "uncertified": uncertified},
        ),
        CheckResult(
            REJECTS,
            ("raw", stream),
            f"Set aside: {rejects:,}. Why: hatif rejects. After a fix: hatif rejects replay"
            if rejects
            else None,
            {"rejects": rejects},
            loses_nothing=True,  # each waits to be replayed
        ),
    ]
