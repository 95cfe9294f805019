"""One step a stream: read it, store it, report how complete it is.

A step yields the stream's records in ``raw`` and every core table made of them, because one
transaction writes them all. Streams are separate steps, so one that fails leaves the others and
their tables alone.
"""

from collections.abc import Iterator

import dagster as dg

from assets.checks import as_asset_check, raw_key, specs_of
from assets.failures import failing_clearly, may_try_again
from assets.freshness import pace_of
from assets.tables import RAW_SCHEMA, facts, model_keys, table_result, table_spec, tags
from hatif.errors import HatifError, StreamError
from hatif.reading import StreamResult
from hatif.streams import STREAMS, Stream
from sync import stream_checks
from sync.session import Session
from warehouse.lake.connection import Lake
from warehouse.models.model import Model, models_of
from warehouse.reports import status


def raw_rows(stream: str) -> str:
    """Return the relation of a stream's stored versions."""
    return f"(FROM raw.records WHERE stream = '{stream}')"


def stream_asset(stream: Stream) -> dg.AssetsDefinition:
    """Return the step that syncs one stream."""
    tables = models_of(stream.name)

    @dg.multi_asset(
        name=stream.name,
        specs=[_raw_spec(stream), *(table_spec(model, _sources(model)) for model in tables)],
        check_specs=specs_of(stream_checks.checks_of_step(stream.name)),
        description=f"Reads {stream.path} and stores what changed.",
        op_tags={"dagster/priority": str(len(STREAMS) - list(STREAMS).index(stream.name))},
    )
    def step(
        context: dg.AssetExecutionContext, session: dg.ResourceParam[Session]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        failed: HatifError | None = None
        # Where the stream before ended in an outage, it will not be over for this one.
        retries = 0 if session.is_in_doubt else session.step_retries
        with failing_clearly(context, retries):
            try:
                session.sync(stream.name)
            except HatifError as error:
                failed = error
                if not (isinstance(error, StreamError) and error.others_read) or may_try_again(
                    context, error, retries
                ):
                    yield as_asset_check(stream_checks.drift_result(session.lake, stream.name))
                    raise
            result = session.results[stream.name]
            context.log.info("%s: %s", stream.name, result.status)
            yield from _materializations(session.lake, stream, result)
            yield as_asset_check(stream_checks.drift_result(session.lake, stream.name))
            yield as_asset_check(stream_checks.lists_result(stream.name, failed))

    return step


def _materializations(
    lake: Lake, stream: Stream, result: StreamResult
) -> Iterator[dg.MaterializeResult[None]]:
    """Report the stream's result, and how many rows each of its tables has now."""
    with lake.snapshot() as connection:
        versions = status.table_rows(connection, raw_rows(stream.name))
        # What is made of the stream shows as out of date when something changed, and only then.
        version = dg.DataVersion(str(versions))
        yield dg.MaterializeResult(
            asset_key=raw_key(stream.name),
            data_version=version,
            metadata={"dagster/row_count": versions, **_measures(result)},
        )
        for model in models_of(stream.name):
            yield table_result(connection, model, version=version)


def _raw_spec(stream: Stream) -> dg.AssetSpec:
    pace = pace_of(stream.name)
    known = facts(("record_id", "seq"), f"GET {stream.path}", pace.description)
    if stream.secret_keys:
        known["never stored"] = f"{', '.join(sorted(stream.secret_keys))}: can hold a secret"
    return dg.AssetSpec(
        key=raw_key(stream.name),
        deps=[raw_key(stream.parent)] if stream.parent else [],
        description=f"{stream.about} Holds every version that differed from the one before, "
        "deletions included.",
        group_name="raw",
        kinds={"python", "ducklake"},
        tags=tags(pace, personal=stream.is_personal),
        freshness_policy=pace.policy,
        metadata={
            **known,
            "rows": f"FROM raw.records WHERE stream = '{stream.name}'",
            "dagster/column_schema": RAW_SCHEMA,
            "dagster/table_name": "wh.raw.records",
        },
    )


def _sources(model: Model) -> list[dg.AssetKey]:
    return model_keys(model) if model.is_view else [raw_key(model.stream)]


def _measures(result: StreamResult) -> dict[str, str | int | float]:
    """Numbers with stable names, and the certificate in words; nothing of any customer."""
    return {
        "status": result.status,
        "rows_read": result.rows_read,
        "rows_changed": result.rows_changed,
        "rows_deleted": result.deleted,
        "rejects": result.rejects,
        "backlog": result.backlog,
        "lists_settled_by_webhooks": result.left_out,
        "requests": result.requests,
        "seconds": result.seconds,
        "scans": result.scans,
        "scans_repaired": result.repaired,
        "scans_unproven": result.unproven,
        "proven_share": round(1 - result.unproven / result.scans, 6) if result.scans else 1.0,
        "certificate": _certificate(result),
        "timestamps": "uncalibrated"
        if result.time_offset_minutes is None
        else f"{result.time_offset_minutes:+d} minutes against the ids",
    }


def _certificate(result: StreamResult) -> str:
    if result.unproven:
        return f"unproven: {result.unproven} of {result.scans} lists kept moving"
    if result.repaired:
        return f"complete; lists: {result.scans}, repaired: {result.repaired}"
    return f"complete; lists: {result.scans}" if result.scans else "nothing to read"


STREAM_ASSETS = [stream_asset(stream) for stream in STREAMS.values()]
