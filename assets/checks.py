"""Checks of every stream and its tables after a sync, as queries of the lake."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.check_results import check_result
from assets.failures import failing_clearly
from assets.tables import unique_check, unique_check_spec
from hatif.errors import HatifError
from hatif.streams import STREAMS
from sync.session import Session
from warehouse.lake.connection import Lake
from warehouse.models.model import models_of
from warehouse.records import drift
from warehouse.reports import status

_CERTIFICATE, _REJECTS = "certificate_is_complete", "no_rejects"
_STATEMENTS = {
    _CERTIFICATE: "The newest scan of every list is certified: it met every record "
    "that lives, and none that does not.",
    _REJECTS: "No record had to be set aside, those acknowledged not counted.",
}

_DRIFT, _LISTS = "service_is_as_known", "every_list_was_read"
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
    """Check for what is undocumented in a stream; only what stopped it is an error."""
    with lake.snapshot() as connection:
        found = drift.of(connection, stream)
    stopped = any(one.kind in drift.STOPS for one in found)
    first = found[0] if found else None
    return check_result(
        _DRIFT,
        raw_key(stream),
        f"New: {first.kind} {first.what}, first in {first.example or 'the list'}; "
        f"in all {len(found)}, see ops.drift."
        if first
        else None,
        {
            f"new_{kind}": sum(one.kind == kind for one in found)
            for kind in ("key", "code", "clock", "ids")
        },
        loses_nothing=not stopped,
    )


def lists_check(stream: str, failed: HatifError | None) -> dg.AssetCheckResult:
    """Check that no list of a stream failed; `failed` names the first and how many did."""
    return check_result(_LISTS, raw_key(stream), None if failed is None else str(failed), {})


def stream_checks(stream: str) -> dg.AssetChecksDefinition:
    """Return the checks of one stream."""

    @dg.multi_asset_check(
        name=f"{stream}_checks",
        specs=_specs(stream, _STATEMENTS)
        + [unique_check_spec(model) for model in models_of(stream)],
    )
    def check(session: dg.ResourceParam[Session]) -> Iterator[dg.AssetCheckResult]:
        with failing_clearly(), session.lake.snapshot() as connection:
            lists, repaired, uncertified = status.certificates(connection, stream)
            rejects = status.unacknowledged_rejects(connection, stream)
            unique = [unique_check(connection, model) for model in models_of(stream)]
        yield check_result(
            _CERTIFICATE,
            raw_key(stream),
            f"{uncertified:,} of {lists:,} lists are not certified. Sync again."
            if uncertified
            else None,
            {"lists": lists, "repaired": repaired, "uncertified": uncertified},
        )
        yield check_result(
            _REJECTS,
            raw_key(stream),
            f"Set aside: {rejects:,}. Why: hatif rejects. After a fix: hatif rejects replay"
            if rejects
            else None,
            {"rejects": rejects},
            loses_nothing=True,  # each waits to be replayed
        )
        yield from unique

    return check


STREAM_CHECKS = [stream_checks(stream) for stream in STREAMS]
