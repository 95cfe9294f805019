"""What must hold for every stream after a sync; three statements a stream, asked of the lake."""

from collections.abc import Iterator

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
        yield dg.AssetCheckResult(
            check_name="certificate_is_complete",
            asset_key=raw_key(stream),
            passed=uncertified == 0,
            metadata={"lists": lists, "repaired": repaired, "uncertified": uncertified},
        )
        yield dg.AssetCheckResult(
            check_name="ids_are_unique",
            asset_key=raw_key(stream),
            passed=duplicates == 0,
            metadata={"duplicates": duplicates},
        )
        yield dg.AssetCheckResult(
            check_name="no_rejects",
            asset_key=raw_key(stream),
            passed=rejects == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"rejects": rejects},
        )

    return check


STREAM_CHECKS = [stream_checks(stream) for stream in STREAMS]
