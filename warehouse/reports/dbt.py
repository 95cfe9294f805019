"""Sources for dbt, ``docs/dbt/models/sources.yml``: written from the headers of the SQL.

    python -m warehouse.reports.dbt > docs/dbt/models/sources.yml

Edit those; the file is generated. Database, schemas and tables are those of a published file, or of
the lake, attached as ``hatif``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from warehouse.models.model import Column, Model, models

_OPENING = """# Written by `python -m warehouse.reports.dbt` from the headers in warehouse/models;
# edit those. Copy this file into the models of your dbt project. `hatif` is the database that
# profiles.yml attaches: a published file, or the lake.
version: 2

sources:
"""
_ABOUT = {
    "core": "One table for each kind of thing, with each row's present values.",
    "marts": "Tables that answer questions: days, sessions, costs.",
}


def page() -> str:
    """Return the file."""
    return _OPENING + "\n".join(line for schema in _ABOUT for line in _source(schema)) + "\n"


def _source(schema: str) -> Iterator[str]:
    yield f"  - name: hatif_{schema}"
    yield "    database: hatif"
    yield f"    schema: {schema}"
    yield f"    description: {json.dumps(_ABOUT[schema])}"
    yield "    tables:"
    for model in sorted(models(schema), key=lambda one: one.name):
        yield from _table(model)


def _table(model: Model) -> Iterator[str]:
    yield f"      - name: {model.name}"
    yield f"        description: {_quoted(model.description)}"
    if len(model.grain) > 1:
        # A row of NULLs is a row: only that it stands there once is promised.
        yield "        data_tests:"
        yield f'          - unique: {{arguments: {{column_name: "row({", ".join(model.grain)})"}}}}'
    yield "        columns:"
    for column in model.columns:
        yield from _column(column, is_key=model.grain == (column.name,))


def _column(column: Column, *, is_key: bool) -> Iterator[str]:
    yield f"          - name: {column.name}"
    yield f"            data_type: {column.type.lower()}"
    yield f"            description: {_quoted(column.description)}"
    if is_key:
        yield "            data_tests: [unique, not_null]"


def _quoted(text: str) -> str:
    """Return a text on one line as YAML; braces in it are no template of dbt's."""
    return json.dumps(" ".join(text.split()).replace("{{", "{ {"), ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(page())
