"""The SQL models, one file a table, and what their headers say.

A file's header comment is the one home of its documentation: what a row is, then directives
(``grain``, ``subject``, ``stream``, ``parent``, ``signals``, ``settles``, ``replace``, ``reads``,
``watches``, ``sorted``, ``instants``, ``view``, ``from``), then one line a column,
``name TYPE: description``. Tables are created from it, and Dagster shows it. Whatever a header
names that does not exist is an error.

A model with a ``stream`` follows that stream's raw records. One without is derived from other
tables, and recomputed where these changed: a mart by its ``scope``, the conversations,
days or contacts that changed. Such a model reads ``temp.…``: the keys in scope, or a step
(``steps/*.sql``), a table that lives only while several marts are computed. Descriptions cite
metrics, defined once (``warehouse/metrics``), as ``{metric:name}``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, cached_property
from graphlib import TopologicalSorter
from pathlib import Path

from warehouse.errors import ModelError
from warehouse.metrics import definitions

_HERE = Path(__file__).parent
_COLUMN = re.compile(r"([a-z_0-9]+) ([A-Z]+(?:\(\d+,\d+\)|\[\])?): (.+)")
_DIRECTIVES = (
    *("grain", "stream", "parent", "signals", "settles", "replace", "reads", "sorted"),
    *("instants", "view", "scope", "from", "watches", "subject"),
)
_DIRECTIVE = re.compile(r"([a-z_]+): (.+)")
_TABLE = re.compile(r"\b(?:core|marts)\.[a-z_]+\b")
_ENUMERATION = re.compile(
    r"\b(?:code(?:_from_zero)?|word|event_status)\((?:[^()]|\([^()]*\))*\)\s+AS ([a-z_]+)"
)
_RAW = frozenset(("raw.records", "raw.webhook_events"))
_STEP = re.compile(r"\btemp\.([a-z_]+)\b")
# Keys of the service that a model reads: those of its json_transform, and of JSON paths.
_KEYS = re.compile(r'"([A-Za-z]+)"\s*:|\$\.([A-Za-z]+)')


@dataclass(frozen=True, slots=True)
class Column:
    """A documented column."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Model:
    """One table, or view, and its SELECT.

    Attributes:
        schema: core or marts.
        name: of the table.
        description: what a row is, and caveats; metrics it cites are named by their titles.
        metrics: names of the metrics that the description cites.
        grain: the columns that identify a row.
        subject: what a mart is about, a word: the group of its asset; empty elsewhere.
        stream: whose records it is made of; empty for one derived from other tables.
        parent: the column with the id of the record whose list the row was on.
        signals: columns of the parent's table; where one changes, the parent's list is read anew.
            By the first of them lists are ordered, the latest first.
        settles: the columns that say whether a row is final, and its time; None where all are.
        replace: the column by which rows are replaced when something changes; empty where there
            is none (a view, or a small table computed as a whole).
        reads: what the relation ``records`` is: the changed records as they are now
            (``latest``), in all their versions (``versions``), or in these where there were any
            before (``changes``).
        watches: tables with their columns: of one that reads ``changes``, a record whose rows there
            stay as they are has no new row; without any, every record may have.
        scope: conversation, day or contact, by which a mart is recomputed; empty elsewhere.
        is_view: nothing is stored, the SELECT is the table.
        sorted_by: the column its files are sorted by, for tables that grow.
        instants: columns whose wire value must be readable, with the service's key; a record
            that has a value there which is no time is set aside.
        columns: in order.
        made_of: tables behind the relations that its SELECT reads instead of tables.
        sql: the file.
        table: schema and name.
        select: the SELECT without its header.
        enumerations: the columns whose values are codes of the service, as names.
    """

    schema: str
    name: str
    description: str
    metrics: tuple[str, ...]
    grain: tuple[str, ...]
    stream: str
    parent: str | None
    signals: tuple[str, ...]
    settles: tuple[str, str] | None
    replace: str
    reads: str
    watches: tuple[tuple[str, tuple[str, ...]], ...]
    scope: str
    subject: str
    is_view: bool
    sorted_by: str | None
    instants: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    made_of: tuple[str, ...]
    sql: str
    table: str
    select: str
    enumerations: tuple[str, ...]

    @cached_property
    def sources(self) -> frozenset[str]:
        """The tables that it is made of, directly or by way of steps."""
        found = set(_TABLE.findall(self.select)) | set(self.made_of)
        for step in self.steps:
            found |= step.sources
        return frozenset(found - {self.table})

    @cached_property
    def steps(self) -> tuple[Model, ...]:
        """The steps that it reads."""
        named = set(_STEP.findall(self.select))
        return tuple(step for step in models("steps") if step.name in named)


@cache
def models(schema: str) -> tuple[Model, ...]:
    """Return the models of a schema, each after those it is made of."""
    found = {model.table: model for model in map(_parse, sorted((_HERE / schema).glob("*.sql")))}
    if schema == "steps":
        return tuple(found.values())
    graph = {table: sorted(model.sources & found.keys()) for table, model in found.items()}
    return tuple(found[table] for table in TopologicalSorter(graph).static_order())


@cache
def models_of(stream: str) -> tuple[Model, ...]:
    """Return the core models that are made of a stream's records."""
    return tuple(model for model in models("core") if model.stream == stream)


def table_of(stream: str) -> str:
    """Return the core table that has one row for each record of a stream."""
    return main_model(stream).table


def key_of(stream: str) -> str:
    """Return that table's key."""
    return main_model(stream).replace


@cache
def main_model(stream: str) -> Model:
    """Return the model of the core table that has one row for each record of a stream.

    Where a stream has none, that is the table of the versions of its records.
    """
    found = models_of(stream)
    singles = [model for model in found if model.grain == (model.replace,)]
    return (singles or [model for model in found if model.reads == "versions"])[0]


@cache
def wire_keys() -> frozenset[str]:
    """Return every key of the service that any model reads."""
    text = "".join(model.select for model in models("core"))
    return frozenset(one or other for one, other in _KEYS.findall(text))


@cache
def merged_models() -> tuple[Model, ...]:
    """Return the core models that the merge fills, each after those it is made of."""
    return tuple(one for one in models("core") if not one.stream)


@cache
def merge_step(name: str) -> str:
    """Return the SELECT of a step of the merge, ``merge/<name>.sql``."""
    return (_HERE / "merge" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def merge_sql() -> str:
    """Return the SQL of all steps of the merge."""
    return "".join(merge_step(path.stem) for path in sorted((_HERE / "merge").glob("*.sql")))


@cache
def model(table: str) -> Model:
    """Return the model of a table, named with its schema.

    Raises:
        ModelError: there is none; it names the nearest.
    """
    there = {one.table: one for one in models(table.partition(".")[0])}
    if table not in there:
        raise ModelError(f"there is no table {table!r}{_nearest(table, there)}")
    return there[table]


@cache
def macros() -> str:
    """Return the SQL that defines how wire values are read."""
    return (_HERE / "macros.sql").read_text(encoding="utf-8")


def _parse(path: Path) -> Model:
    sql = path.read_text(encoding="utf-8")
    description: list[str] = []
    directives: dict[str, str] = {}
    columns: list[Column] = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        if not columns and description and (match := _DIRECTIVE.fullmatch(text)):
            directives[_directive(path, match[1])] = match[2]
        elif match := _COLUMN.fullmatch(text):
            columns.append(Column(match[1], match[2], match[3]))
        elif columns and text:
            last = columns.pop()
            columns.append(replace(last, description=f"{last.description} {text}"))
        elif not directives:
            description.append(text)
    missing = sorted(_needed(path.parent.name, directives) - directives.keys())
    if missing or not columns:
        lacking = ", ".join(missing) or "columns"
        raise ModelError(f"{path.parent.name}/{path.name}: its header lacks {lacking}")
    select = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    settled, _, time = directives.get("settles", "").partition(", ")
    return Model(
        schema=path.parent.name,
        name=path.stem,
        description=definitions.spelt_out("\n".join(description).strip()),
        metrics=definitions.cited("\n".join(description)),
        grain=tuple(directives["grain"].split(", ")),
        stream=directives.get("stream", ""),
        parent=directives.get("parent"),
        signals=tuple(filter(None, directives.get("signals", "").split(", "))),
        settles=(settled, time) if settled else None,
        replace=directives.get("replace", ""),
        reads=directives.get("reads", "latest"),
        watches=_watched(directives.get("watches", "")),
        scope=directives.get("scope", ""),
        subject=directives.get("subject", ""),
        is_view=directives.get("view") == "yes",
        sorted_by=directives.get("sorted"),
        instants=tuple(
            (column, key)
            for column, _, key in (
                pair.partition("=") for pair in directives.get("instants", "").split(", ") if pair
            )
        ),
        columns=tuple(columns),
        made_of=tuple(filter(None, directives.get("from", "").split(", "))),
        sql=sql,
        table=f"{path.parent.name}.{path.stem}",
        select=select,
        enumerations=tuple(dict.fromkeys(_ENUMERATION.findall(select))),
    )


def _needed(folder: str, directives: Collection[str]) -> set[str]:
    """Return the directives that a header must have."""
    if folder == "marts":
        return {"grain", "subject"}
    has_rows = "stream" in directives and "view" not in directives
    return {"grain", "replace"} if has_rows else {"grain"}


def _watched(directive: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the tables that a directive names as ``table.column, …``, each with its columns."""
    found: dict[str, list[str]] = {}
    for one in filter(None, directive.split(", ")):
        table, _, column = one.rpartition(".")
        found.setdefault(table, []).append(column)
    return tuple((table, tuple(columns)) for table, columns in found.items())


def _directive(path: Path, name: str) -> str:
    """Return the name of a directive, if it is one.

    Raises:
        ModelError: it is none.
    """
    if name not in _DIRECTIVES:
        raise ModelError(
            f"{path.parent.name}/{path.name}: its header has no directive {name!r}"
            f"{_nearest(name, _DIRECTIVES)}"
        )
    return name


def check(streams: Iterable[str], relations: Iterable[str] = ()) -> None:
    """See that every stream, table and step which a model names exists.

    Args:
        streams: that there are.
        relations: of the settings, which models read as ``temp.…`` beside steps and keys in scope.

    Raises:
        ModelError: one does not; it names the file and the nearest name.
    """
    known = tuple(streams)
    everything = [one for schema in ("core", "steps", "marts") for one in models(schema)]
    tables = {one.table for one in everything if one.schema != "steps"} | _RAW
    steps = {one.name for one in models("steps")} | {*relations}
    for one in everything:
        named = [("stream", {one.stream} - {""}, known), ("table", one.sources, tables)]
        if relations:
            named.append(("relation", set(_STEP.findall(one.select)), steps))
        for kind, names, there in named:
            for name in sorted(names - set(there)):
                raise ModelError(
                    f"{one.schema}/{one.name}.sql: there is no {kind} {name!r}"
                    f"{_nearest(name, there)}"
                )


def _nearest(name: str, there: Iterable[str]) -> str:
    """Return what to say of the nearest name there is; empty where none is near."""
    near = get_close_matches(name, list(there), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
