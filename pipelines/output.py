"""Rows of a query as a table for people, CSV, JSON or Parquet for programs; never all at once."""

from __future__ import annotations

import io
import itertools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from hatif.errors import HatifError
from pipelines.cells import Row, distinct, duration
from pipelines.cells import rows as rows_of
from pipelines.pager import paged
from pipelines.terminal import PrintableOutput, printable
from warehouse.reports.destinations import replacing
from warehouse.reports.query import Rows

Format = Literal["table", "csv", "json", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)

#: A table is drawn for so many rows at a time; in a pager more of them follow.
TABLE_ROWS = 1_000
_LONGEST_WORD = 40  # characters; longer ones, such as addresses, go over several lines
_RULES = 3  # characters between two columns
_AS_WIDE_AS_NEEDED = 10_000  # where no window is known
_ROW_GROUP = 100_000
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class OutputError(HatifError):
    """The rows cannot be written where they should go."""


def write(query: Rows, form: Format) -> None:
    """Write all rows to standard output: a table, which goes to a pager on a terminal, CSV or JSON.

    Raises:
        OutputError: the disk is full, or the like.
        BrokenPipeError: the reading program has ended.
    """
    try:
        if form == "table":
            # Before the pager starts, since from then on Ctrl-C is the pager's.
            rows = rows_of(query)
            first = list(itertools.islice(rows, TABLE_ROWS))
            with paged() as pager:
                if pager is None:
                    _show(query, first, rows)
                else:
                    width = shutil.get_terminal_size().columns
                    _tables(query, pager, itertools.chain(first, rows), width)
        else:
            out = PrintableOutput(sys.stdout)
            if form == "csv":
                _csv(query, out)
            else:
                _json(query, out)
            out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write the output: {error.strerror}") from None


def save(query: Rows, form: Format, file: Path) -> None:
    """Write all rows to a file, which is there when it is whole.

    Raises:
        OutputError: it cannot be written; what was there before is unchanged.
    """
    try:
        with replacing(file) as unfinished:
            if form == "parquet":
                _parquet(query, unfinished)
            else:
                writers: dict[str, Callable[[Rows, IO[str]], None]] = {
                    "table": _wide_tables,
                    "csv": _csv,
                    "json": _json,
                }
                with unfinished.open("w", encoding="utf-8", newline="") as out:
                    writers[form](query, out)
    except (OSError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or "Parquet has no such type"
        raise OutputError(f"cannot write {file}: {why}") from None


def show(query: Rows) -> None:
    """Show a table of the first thousand rows, with a note where there are more."""
    rows = rows_of(query)
    _show(query, list(itertools.islice(rows, TABLE_ROWS)), rows)


def _show(query: Rows, first: list[Row], rest: Iterator[Row]) -> None:
    window = shutil.get_terminal_size().columns
    width = window if sys.stdout.isatty() else _AS_WIDE_AS_NEEDED
    _draw(query, sys.stdout, first, width)
    if next(rest, None) is not None:
        sys.stdout.write(f"only the first {TABLE_ROWS:,} rows; --output FILE writes all\n")
    sys.stdout.flush()


def _tables(query: Rows, out: IO[str], rows: Iterator[Row], width: int) -> None:
    """Draw all rows, a table for every thousand."""
    chunk = list(itertools.islice(rows, TABLE_ROWS))
    _draw(query, out, chunk, width)
    while chunk := list(itertools.islice(rows, TABLE_ROWS)):
        out.write("\n")
        _draw(query, out, chunk, width)


def _wide_tables(query: Rows, out: IO[str]) -> None:
    _tables(query, out, rows_of(query), _AS_WIDE_AS_NEEDED)


def _draw(query: Rows, out: IO[str], rows: list[Row], width: int) -> None:
    shown = [tuple(map(_shown, row)) for row in rows]
    # Not straight to `out`: a pipe that is closed makes rich end the program.
    text = io.StringIO()
    console = Console(file=text, highlight=False, markup=False, emoji=False, width=width)
    names = list(map(printable, query.schema.names))
    whole = [pa.types.is_timestamp(field.type) for field in query.schema]
    widths = _widths([names, *shown], whole, width)
    if widths is None:
        _upright(console, names, shown)
    else:
        table = Table(show_edge=False)
        for name, field, wide in zip(names, query.schema, widths, strict=True):
            side: Literal["right", "left"] = "right" if _is_number(field.type) else "left"
            table.add_column(name, justify=side, width=wide, overflow="fold")
        for row in shown:
            table.add_row(*row)
        console.print(table)
    out.write(text.getvalue())


def _widths(rows: list[Sequence[str]], whole: list[bool], window: int) -> list[int] | None:
    """Return how wide columns are, in characters, so that no word of theirs is cut.

    Args:
        rows: the names of the columns, then their values.
        whole: of each column, whether a value of it is one word.
        window: how wide all may be.

    Returns:
        None where the words do not fit.
    """
    room = window - _RULES * len(whole) + 1
    columns = list(zip(*rows, strict=True))
    most = [max(cell_len(line) for cell in one for line in _lines(cell)) for one in columns]
    if sum(most) <= room:
        return most
    least = [
        wide if is_whole else min(wide, _LONGEST_WORD, max(map(_longest_word, one)))
        for one, wide, is_whole in zip(columns, most, whole, strict=True)
    ]
    room -= sum(least)
    if room < 0:
        return None
    # What is left over goes to all that can use it, those that need least first.
    order = sorted(range(len(least)), key=lambda number: most[number] - least[number])
    for place, number in enumerate(order):
        more = min(most[number] - least[number], room // (len(order) - place))
        least[number] += more
        room -= more
    return least


def _lines(cell: str) -> list[str]:
    return cell.splitlines() or [""]


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)


def _upright(console: Console, names: list[str], rows: list[tuple[str, ...]]) -> None:
    """Print each row as a block of its own, a line a column."""
    for number, row in enumerate(rows, 1):
        block = Table(title=f"row {number}", title_justify="left", show_edge=False)
        block.show_header = False
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            block.add_row(name, value)
        console.print(block)


def _csv(query: Rows, out: IO[str] | PrintableOutput) -> None:
    """Write as PostgreSQL does: NULL is nothing, an empty text is quoted."""
    out.write(",".join(map(_quoted, query.schema.names)) + "\n")
    for row in rows_of(query):
        out.write(",".join(_quoted(_cell(v)) if v is not None else "" for v in row) + "\n")


def _quoted(text: str) -> str:
    if text and not any(mark in text for mark in ',"\n\r'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _json(query: Rows, out: IO[str] | PrintableOutput) -> None:
    names = distinct(query.schema.names)
    out.write("[")
    for number, row in enumerate(rows_of(query)):
        values = (
            msgspec.Raw(value.encode()) if place in query.json_columns and value else value
            for place, value in enumerate(row)
        )
        out.write(",\n " if number else "\n ")
        out.write(_ENCODER.encode(dict(zip(names, values, strict=True))).decode())
    out.write("\n]\n")


def _parquet(query: Rows, file: Path) -> None:
    """Write the types as they are; intervals, which Parquet does not know, as ISO 8601 text."""
    names = distinct(query.schema.names)
    kinds = [pa.string() if pa.types.is_interval(k) else k for k in query.schema.types]
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in query.batches():
            columns = [_without_intervals(column) for column in batch.columns]
            waiting.append(pa.record_batch(columns, schema=schema))
            if sum(one.num_rows for one in waiting) >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))


def _without_intervals(column: pa.Array) -> pa.Array:
    if not pa.types.is_interval(column.type):
        return column
    spans = (None if span is None else duration(span) for span in column.to_pylist())
    return pa.array(spans, pa.string())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, dict)):
        return _ENCODER.encode(value).decode()
    return str(value)


def _shown(value: object) -> str:
    if value is None:
        return ""
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else _cell(value)
    return printable(text)


def _is_number(kind: pa.DataType) -> bool:
    return str(kind).startswith(("int", "uint", "double", "float", "decimal"))
