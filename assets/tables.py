"""How a table of the lake looks in Dagster's catalog: all of it from the SQL file's header."""

from __future__ import annotations

import dagster as dg

from warehouse.models import Model

OWNERS = ["team:data"]


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
        description=f"{model.description}\n\nGrain: {', '.join(f'`{c}`' for c in model.grain)}.",
        group_name=model.schema,
        kinds={"ducklake", "sql"},
        owners=OWNERS,
        metadata={
            "dagster/column_schema": column_schema(model),
            "dagster/table_name": f"wh.{model.table}",
        },
    )
