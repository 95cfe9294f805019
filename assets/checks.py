"""Checks of the warehouse as Dagster's asset checks.

What they are: ``sync/stream_checks.py`` and ``sync/checks.py``.
"""

from collections.abc import Iterable, Iterator

import dagster as dg

from assets.failures import failing_clearly
from hatif.streams import STREAMS
from sync.check import Check, CheckResult
from sync.session import Session
from sync.stream_checks import checks_of_stream, stream_results


def raw_key(stream: str) -> dg.AssetKey:
    """Return the asset key of a stream's records."""
    return dg.AssetKey(["raw", stream])


def specs_of(found: Iterable[Check]) -> list[dg.AssetCheckSpec]:
    """Return checks as Dagster's specs."""
    return [
        dg.AssetCheckSpec(
            check.name, asset=check.table, description=check.statement, blocking=check.blocks
        )
        for check in found
    ]


def as_asset_check(result: CheckResult) -> dg.AssetCheckResult:
    """Return a check's result as Dagster's."""
    return dg.AssetCheckResult(
        check_name=result.name,
        asset_key=result.table,
        passed=result.message is None,
        severity=dg.AssetCheckSeverity.WARN
        if result.loses_nothing
        else dg.AssetCheckSeverity.ERROR,
        description=result.message,
        metadata=dict(result.numbers),
    )


def stream_checks(stream: str) -> dg.AssetChecksDefinition:
    """Return the checks of one stream."""

    @dg.multi_asset_check(name=f"{stream}_checks", specs=specs_of(checks_of_stream(stream)))
    def check(session: dg.ResourceParam[Session]) -> Iterator[dg.AssetCheckResult]:
        with failing_clearly():
            results = stream_results(session.lake, stream)
        yield from map(as_asset_check, results)

    return check


STREAM_CHECKS = [stream_checks(stream) for stream in STREAMS]
