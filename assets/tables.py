"""How a table of the lake looks in Dagster's catalog: all of it from the SQL file's header."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg
import duckdb

from assets.freshness import Pace, pace_of
from hatif.streams import STREAMS
from warehouse.models.model import Model
from warehouse.reports import status

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


def tags(pace: Pace, *, personal: bool) -> dict[str, str]:
    """Return the tags of an asset: `pace`, and `pii` where it holds personal data."""
    return {"pace": pace.name.lower()} | ({"pii": ""} if personal else {})


def _is_personal(model: Model) -> bool:
    """Whether a table holds personal data: its stream does, or its columns hold ids of persons."""
    if model.stream:
        return STREAMS[model.stream].is_personal
    ids = {column.name for column in model.columns if column.name.endswith(("_id", "_key"))}
    return bool(ids - {"channel_id"})


def column_schema(model: Model) -> dg.TableSchema:
    """Return the documented columns."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=_markdown(column.description),
                constraints=dg.TableColumnConstraints(
                    nullable=column.name not in model.grain, unique=model.grain == (column.name,)
                ),
            )
            for column in model.columns
        ]
    )


def _markdown(text: str) -> str:
    """A header's words as they are: Markdown would take <this> for a tag and swallow it."""
    return text.replace("<", "\\<")


def table_result(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    metadata: Mapping[str, int | float] | None = None,
    version: dg.DataVersion | None = None,
) -> dg.MaterializeResult[None]:
    """Return the materialization of a table: its rows now, and what the step counted.

    Its columns stand in its definition alone: with every run they would be a quarter of what
    Dagster keeps of it.

    Args:
        connection: a reader of the lake.
        model: the table.
        metadata: further numbers by name.
        version: shows what is made of the table as out of date when it differs from the last.
    """
    return dg.MaterializeResult(
        asset_key=[model.schema, model.name],
        data_version=version,
        metadata={
            "dagster/row_count": status.table_rows(connection, model.table),
            **(metadata or {}),
        },
    )


def model_keys(model: Model) -> list[dg.AssetKey]:
    """Return the assets that a model's SQL reads."""
    return [dg.AssetKey(table.split(".")) for table in sorted(model.sources)]


def plain(text: str) -> str:
    """Return a description as the catalog's list shows it: that takes no Markdown."""
    return _markdown(text).replace("`", "")


def facts(grain: Iterable[str], source: str, pace: str) -> dict[str, str]:
    """Return what is worth knowing of every asset beside its description, as metadata.

    Args:
        grain: the columns that identify a row.
        source: what it is made of.
        pace: how often it is brought up to date.
    """
    return {"grain": ", ".join(grain), "source": source, "fresh": pace}


def _facts(model: Model, deps: list[dg.AssetKey]) -> dict[str, str]:
    source = (
        f"GET {STREAMS[model.stream].path}"
        if model.stream
        else ", ".join(".".join(key.path) for key in deps)
    )
    return {
        **facts(model.grain, source, pace_of(model.stream).description),
        "defined in": f"warehouse/models/{model.schema}/{model.name}.sql",
    }


def table_spec(model: Model, deps: list[dg.AssetKey]) -> dg.AssetSpec:
    """Return the spec of the asset that is this table."""
    return dg.AssetSpec(
        key=[model.schema, model.name],
        deps=deps,
        description=plain(model.description),
        group_name=model.subject or model.schema,
        kinds={"ducklake", "sql"},
        tags=tags(pace_of(model.stream), personal=_is_personal(model)),
        freshness_policy=pace_of(model.stream).policy,
        metadata={
            **_facts(model, deps),
            "dagster/column_schema": column_schema(model),
            "dagster/table_name": f"wh.{model.table}",
            "sql": dg.MetadataValue.md(f"```sql\n{model.select.strip()}\n```"),
        },
    )
