"""A check of the warehouse and its result; and what checks of several stages have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from warehouse.models.model import Model
from warehouse.records import drift
from warehouse.reports import status

#: A table, or a stream in ``raw``, as schema and name.
Table = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """A statement about a table.

    Attributes:
        name: of the check; unique for a table.
        table: that it is about.
        statement: what holds where it passes.
        blocks: whether nothing may be computed of the table while it fails.
    """

    name: str
    table: Table
    statement: str
    blocks: bool = False

    @property
    def key(self) -> tuple[Table, str]:
        """Its table and name."""
        return self.table, self.name


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: of the check.
        table: that it is about.
        message: what is wrong and what to do, None where the check passed. Shows no data.
        numbers: that the check compared.
        loses_nothing: a failure is a warning, since the data are complete all the same.
    """

    name: str
    table: Table
    message: str | None
    numbers: Mapping[str, int | float]
    loses_nothing: bool = False

    @property
    def key(self) -> tuple[Table, str]:
        """Of its check: table and name."""
        return self.table, self.name

    @property
    def is_error(self) -> bool:
        """Whether it failed, and not as a warning."""
        return self.message is not None and not self.loses_nothing


#: Names of checks that are made of several tables.
REJECTS, UNIQUE, DRIFT = "no_rejects", "rows_are_unique", "service_is_as_known"


def unique(model: Model, *, blocks: bool = False) -> Check:
    """Return the check that no two rows of a table share their key."""
    blocked = " Blocks the marts, which would count it twice." if blocks else ""
    return Check(
        UNIQUE,
        (model.schema, model.name),
        f"No two rows share {', '.join(model.grain)}.{blocked}",
        blocks=blocks,
    )


def unique_result(
    connection: duckdb.DuckDBPyConnection, model: Model, where: str = "true"
) -> CheckResult:
    """Make that check, of the rows where a condition holds."""
    return uniqueness(model, status.duplicates(connection, model, where))


def uniqueness(model: Model, doubled: int) -> CheckResult:
    """Return that check's result, by how many rows share their key with another."""
    return CheckResult(
        UNIQUE,
        (model.schema, model.name),
        f"{doubled:,} rows share their key with another. Please report this; "
        "hatif rebuild makes the table again"
        if doubled
        else None,
        {"duplicates": doubled},
    )


def by_kind(found: Sequence[drift.Drift], *kinds: str) -> dict[str, int]:
    """Return how many differences there are of some kinds, as a check's numbers."""
    return {f"new_{kind}": sum(one.kind == kind for one in found) for kind in kinds}
