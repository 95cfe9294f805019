"""Checks of every stream and its tables after a sync, as queries of the lake."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.tables import unique_check, unique_check_spec
from hatif.errors import HatifError
from hatif.streams import STREAMS
from sync.session import Session
from warehouse.lake.connection import Lake
from warehouse.models.model import models_of
from warehouse.records import drift
from warehouse.reports import status

_STATEMENTS = {
    "certificate_is_complete": "The newest scan of every list is certified: it met every record "
    "that lives, and none that does not.",
    "no_rejects": "No record had to be set aside, those acknowledged not counted.",
}

#: Those whose failure loses nothing: the record waits to be replayed.
_WARNINGS = {"no_rejects"}


_DRIFT = "service_is_as_known"
_LISTS = "every_list_was_read"
#: Those that a stream's own step makes, since it alone knows.
_OF_THE_STEP = {
    _DRIFT: "The service sends no key and no code that is undocumented, its timestamps agree "
    "with its ids, and its records have ids. Made also when the step fails.",
    _LISTS: "No list failed beside others that were read. Such a failure does not stop what hangs "
    "on the others; the next sync retries them.",
}


def raw_key(stream: str) -> dg.AssetKey:
    """Return the asset key of a stream's records."""
    return dg.AssetKey(["raw", stream])


def step_check_specs(stream: str) -> list[dg.AssetCheckSpec]:
    """Return the checks that a stream's own step makes: `drift_check` and `lists_check`."""
    return _specs(stream, _OF_THE_STEP)


def _specs(stream: str, statements: Mapping[str, str]) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=raw_key(stream), description=text)
        for name, text in statements.items()
    ]


def drift_check(lake: Lake, stream: str) -> dg.AssetCheckResult:
    """Say what is new in a stream; only what stopped it is an error."""
    with lake.reading() as connection:
        found = drift.of(connection, stream)
    stopped = any(one.kind in drift.STOPS for one in found)
    first = found[0] if found else None
    return dg.AssetCheckResult(
        check_name=_DRIFT,
        asset_key=raw_key(stream),
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if stopped else dg.AssetCheckSeverity.WARN,
        description=f"New: {first.kind} {first.what}, first in {first.example or 'the list'}; "
        f"in all {len(found)}, see ops.drift."
        if first
        else None,
        metadata={
            f"new_{kind}": sum(one.kind == kind for one in found)
            for kind in ("key", "code", "clock", "ids")
        },
    )


def lists_check(stream: str, failed: HatifError | None) -> dg.AssetCheckResult:
    """Say which lists of a stream failed, if any."""
    return dg.AssetCheckResult(
        check_name=_LISTS,
        asset_key=raw_key(stream),
        passed=failed is None,
        description=None if failed is None else str(failed),
    )


def stream_checks(stream: str) -> dg.AssetChecksDefinition:
    """Return the checks of one stream."""

    @dg.multi_asset_check(
        name=f"{stream}_checks",
        specs=_specs(stream, _STATEMENTS)
        + [unique_check_spec(model) for model in models_of(stream)],
    )
    def check(session: dg.ResourceParam[Session]) -> Iterator[dg.AssetCheckResult]:
        with session.lake.reading() as connection:
            lists, repaired, uncertified = status.certificates(connection, stream)
            rejects = status.unacknowledged_rejects(connection, stream)
            unique = [unique_check(connection, model) for model in models_of(stream)]
        counted = {"lists": lists, "repaired": repaired, "uncertified": uncertified}
        wrong = f"{uncertified:,} of {lists:,} lists are not certified. Sync again."
        yield _result(stream, "certificate_is_complete", uncertified, wrong, counted)
        wrong = f"Set aside: {rejects:,}. Why: hatif rejects. After a fix: hatif rejects replay"
        yield _result(stream, "no_rejects", rejects, wrong, {"rejects": rejects})
        yield from unique

    return check


def _result(
    stream: str, name: str, wrong: int, message: str, counted: Mapping[str, int]
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=raw_key(stream),
        passed=wrong == 0,
        severity=dg.AssetCheckSeverity.WARN if name in _WARNINGS else dg.AssetCheckSeverity.ERROR,
        description=message if wrong else None,
        metadata=counted,
    )


STREAM_CHECKS = [stream_checks(stream) for stream in STREAMS]
