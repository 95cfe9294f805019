"""What must hold for every stream after a sync; three statements a stream, asked of the lake."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.session import Session
from assets.streams import raw_key
from hatif.catalogue import STREAMS
from warehouse import status

_STATEMENTS = {
    "certificate_is_complete": "The newest scan of every list is certified: it met every record "
    "that lives, and none that does not.",
    "ids_are_unique": "No two rows of the stream's core table share their key.",
    "no_rejects": "No record had to be set aside.",
}

#: Those whose failure loses nothing: the record waits to be replayed.
_WARNINGS = {"no_rejects"}


def stream_checks(stream: str) -> dg.AssetChecksDefinition:
    """Return the checks of one stream."""

    @dg.multi_asset_check(
        name=f"{stream}_checks",
        specs=[
            dg.AssetCheckSpec(name, asset=raw_key(stream), description=text)
            for name, text in _STATEMENTS.items()
        ],
    )
    def check(session: dg.ResourceParam[Session]) -> Iterator[dg.AssetCheckResult]:
        with session.lake.reading() as connection:
            lists, repaired, uncertified = status.certificates(connection, stream)
            duplicates = status.duplicate_ids(connection, stream)
            rejects = status.open_rejects(connection, stream)
        counted = {"lists": lists, "repaired": repaired, "uncertified": uncertified}
        wrong = f"{uncertified:,} of {lists:,} lists are not certified. Sync again."
        yield _result(stream, "certificate_is_complete", uncertified, wrong, counted)
        wrong = f"{duplicates:,} rows share their key with another. Please report this."
        yield _result(stream, "ids_are_unique", duplicates, wrong, {"duplicates": duplicates})
        wrong = f"Set aside: {rejects:,}. The reasons are in ops.rejects."
        yield _result(stream, "no_rejects", rejects, wrong, {"rejects": rejects})

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
