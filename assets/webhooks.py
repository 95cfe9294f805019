"""Webhook files as an asset: read once each, beside whatever calls the service."""

from collections.abc import Iterator

import dagster as dg

from assets.checks import as_asset_check, specs_of
from assets.failures import failing_clearly
from assets.tables import facts
from hatif.webhooks.sources import place_of
from sync import checks
from warehouse.lake.connection import Lake
from warehouse.reports import status
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest

WEBHOOKS_KEY = dg.AssetKey(checks.WEBHOOKS)
_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn(name, kind, about)
        for name, kind, about in (
            ("delivery_id", "VARCHAR", "SHA-256 of the body, hexadecimal"),
            ("seq", "BIGINT", "order of arrival in the lake"),
            ("kind", "VARCHAR", "message, call, ivr or workspace"),
            ("channel_id", "VARCHAR", "the channel it names"),
            ("conversation_id", "VARCHAR", "the conversation it names"),
            ("received_at", "TIMESTAMPTZ", "earliest receive time ever seen for this body"),
            ("signature", "VARCHAR", "valid, or unsigned where the channel has no secret"),
            ("body", "VARCHAR", "byte for byte as sent"),
            ("payload", "JSON", "unwrapped and in our spelling, where that differs"),
        )
    ]
)


@dg.asset(
    key=WEBHOOKS_KEY,
    description="Every accepted webhook delivery once, byte for byte. Only here is isBillable. "
    "What cannot be accepted is in ops.rejects; what was read of each file, in ops.webhook_files.",
    group_name="raw",
    kinds={"python", "ducklake"},
    tags={"pii": "", "pace": "on_arrival"},
    metadata={
        **facts(
            ("delivery_id",),
            "the files that a receiver collects in HATIF_WEBHOOK_DIR",
            "within seconds of a new file. No policy: without traffic there is nothing to read",
        ),
        "dagster/column_schema": _SCHEMA,
        "dagster/table_name": "wh.raw.webhook_events",
    },
)
def webhook_events(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """Read what is new in the files."""
    with failing_clearly(context):
        done = ingest(lake, place_of(settings.webhook_location), settings.secrets)
    context.log.info("files: %s, new deliveries: %s", done.files, done.new)
    with failing_clearly(), lake.reading() as connection:
        rows = status.table_rows(connection, "raw.webhook_events")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(rows)),
        metadata={
            "dagster/row_count": rows,
            "files": done.files,
            "deliveries": done.deliveries,
            "new_deliveries": done.new,
            "rejects": done.rejected,
            "seconds": round(done.seconds, 3),
        },
    )


@dg.multi_asset_check(name="webhook_checks", specs=specs_of(checks.checks_of_webhooks()))
def webhook_checks(
    lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> Iterator[dg.AssetCheckResult]:
    """Count rejects, unsigned deliveries and drift."""
    with failing_clearly():
        results = checks.webhook_results(lake, settings)
    yield from map(as_asset_check, results)
