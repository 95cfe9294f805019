"""How a table of the lake looks in Dagster's catalog: all of it from the SQL file's header."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from warehouse.models import Model

OWNERS = ["team:data"]
#: For a table that is synced once a day: a late night is a warning, two missed ones are a failure.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
)
# Streams that say nothing of any person; a new stream is personal until somebody looked.
_IMPERSONAL = {"channels", "tags", "property_definitions", "property_statistics"}

RAW_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn(name, kind, about, constraints=dg.TableColumnConstraints(nullable=nullable))
        for name, kind, nullable, about in (
            ("stream", "VARCHAR", False, "which list of the service"),
            ("record_id", "VARCHAR", False, "the record's id, lower case"),
            ("parent_id", "VARCHAR", True, "the record whose list it was on, NULL for the top"),
            ("seq", "BIGINT", False, "total order of everything ever stored"),
            ("op", "VARCHAR", False, "upsert, or tombstone when its absence was proven"),
            ("payload", "JSON", True, "as the service sent it, secrets cut; NULL in a tombstone"),
            ("payload_hash", "VARCHAR", True, "of the payload; a version differs from the last"),
            ("scan_id", "VARCHAR", True, "the scan that met it, in ops.scans"),
            ("fetched_at", "TIMESTAMPTZ", False, "when it was stored"),
        )
    ]
)


def tags(stream: str) -> dict[str, str]:
    """Return the tags of everything made from a stream: `pii` where it tells of people."""
    return {} if stream in _IMPERSONAL else {"pii": ""}


def column_schema(model: Model) -> dg.TableSchema:
    """Return the documented columns."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.name not in model.grain, unique=model.grain == (column.name,)
                ),
            )
            for column in model.columns
        ]
    )


def table_spec(model: Model, deps: list[dg.AssetKey]) -> dg.AssetSpec:
    """Return the spec of the asset that is this table."""
    return dg.AssetSpec(
        key=[model.schema, model.name],
        deps=deps,
        description=f"{model.description}\n\nGrain: {', '.join(f'`{c}`' for c in model.grain)}. "
        f"Defined in `warehouse/models/{model.schema}/{model.name}.sql`.",
        group_name=model.schema,
        kinds={"ducklake", "sql"},
        owners=OWNERS,
        tags=tags(model.stream),
        freshness_policy=FRESHNESS,
        metadata={
            "dagster/column_schema": column_schema(model),
            "dagster/table_name": f"wh.{model.table}",
            "sql": dg.MetadataValue.md(f"```sql\n{model.select.strip()}\n```"),
        },
    )
