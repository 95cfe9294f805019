"""The columns of a table that marts of some scopes read: of these fingerprints are made.

A step in ``models/steps`` writes ``{columns of core.messages read by day, contact}`` in place of a
list (`with_columns`). So the day of a message is computed when a column changes that any such mart
reads, and a mart that begins to read another one needs no entry anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from warehouse.models.model import Model, model, models

_COLUMNS = re.compile(r"\{columns of ([a-z]+\.[a-z_]+) read by ([a-z, ]+)\}")
_WORD = re.compile(r"[a-z_0-9]+")
_STAR = re.compile(r"(?<!count\()\*")
_REMARK_OR_TEXT = re.compile(r"--[^\n]*|'[^']*'")


def with_columns(sql: str) -> str:
    """Return a step's SQL with lists of columns where it names those that marts read."""
    return _COLUMNS.sub(lambda found: ", ".join(columns_read(found[1], found[2])), sql)


def tables(sql: str) -> frozenset[str]:
    """Return the tables of which a step's SQL names the columns that marts read."""
    return frozenset(table for table, _ in _COLUMNS.findall(sql))


@cache
def columns_read(table: str, scopes: str) -> tuple[str, ...]:
    """Return the columns of a table that marts of some scopes can read, and those of its grain.

    A column counts as read where its name stands in a query of the table, or, where that query
    selects ``*``, anywhere in the mart or a step of it: some columns too many, none too few.

    Args:
        table: with its schema.
        scopes: as in the models' headers, separated by ``, ``.
    """
    words = set(model(table).grain)
    for mart in models("marts"):
        if mart.scope in scopes.split(", ") and table in mart.sources:
            words |= _words_about(table, mart)
    return tuple(column.name for column in model(table).columns if column.name in words)


def _words_about(table: str, mart: Model) -> set[str]:
    """Return the words by which a mart or its steps can name a column of a table."""
    texts = [_REMARK_OR_TEXT.sub("", one.select) for one in _with_steps(mart)]
    queries = [query for text in texts for query in _queries(table, text)]
    if any(_STAR.search(query) for query in queries):
        return set(_WORD.findall(" ".join(texts))) | {column.name for column in mart.columns}
    return set(_WORD.findall(" ".join(queries)))


def _with_steps(one: Model) -> Iterator[Model]:
    """Yield a model and all steps it is made of."""
    yield one
    for step in one.steps:
        yield from _with_steps(step)


def _queries(table: str, text: str) -> Iterator[str]:
    """Yield the text between the parentheses around each place that reads from a table."""
    for found in re.finditer(rf"\b(?:FROM|JOIN)\s+{re.escape(table)}\b", text):
        yield text[_edge(text, found.start(), -1) : _edge(text, found.end(), 1)]


def _edge(text: str, at: int, step: int) -> int:
    """Return where the parentheses around a place begin (`step` -1) or end (1)."""
    depth = 0
    closing, opening = ("(", ")") if step < 0 else (")", "(")
    while 0 <= at < len(text):
        if text[at] == closing and not depth:
            return at
        depth += (text[at] == opening) - (text[at] == closing)
        at += step
    return max(at, 0)
