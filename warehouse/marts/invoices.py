"""Invoice files into ``ops.invoice_lines``, read anew where the folder has changed.

A file that cannot be read is named with its mistake in ``ops.invoice_files``, and so is a line; the
others count. Of files with one content the first by name counts.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.lake.sql import home_value, keep_home_values
from warehouse.settings.environment import Settings
from warehouse.settings.file_state import digest_of, is_same, state_of
from warehouse.settings.invoices import (
    MAPPING,
    InvoiceLine,
    InvoiceMapping,
    invoice_files,
    read_invoice,
    read_mapping,
)

_KEY = "invoices"
#: Raised where files are read otherwise than before, so that they are read anew.
_READING = 2
_MOST_NAMED = 5
#: Its name, how many of its lines count, and its mistakes.
_File = tuple[str, int, str | None]
_MONEY = pa.decimal128(18, 6)


def bring_up(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Store the lines of all files where any of them has changed; inside a transaction."""
    before = home_value(connection, _KEY) or ""
    now = _state(settings, before)
    if before == now:
        return
    if not _is_same(before, now):
        files: list[_File] = []
        lines: list[tuple[str, InvoiceLine]] = []
        if settings.invoices is not None:
            _read(settings.invoices, settings.bill_zone, files, lines)
        _store(connection, "ops.invoice_files", _files(files))
        _store(connection, "ops.invoice_lines", _lines(lines))
    keep_home_values(connection, {_KEY: now})


def _state(settings: Settings, before: str) -> str:
    """Return what the folder looks like: on the first line how it is read, then its files."""
    folder = settings.invoices
    if folder is None:
        return ""
    head = f"{_READING} {settings.bill_zone} {folder}"
    try:
        paths = [
            path
            for path in sorted(folder.iterdir())
            if path.is_file() and (path.suffix.lower() == ".csv" or path.name == MAPPING)
        ]
    except OSError as error:
        return f"{head}\n{error.strerror}"
    return f"{head}\n{state_of(paths, before.partition(chr(10))[2])}"


def _is_same(before: str, now: str) -> bool:
    (head, _, files), (other_head, _, other_files) = before.partition("\n"), now.partition("\n")
    return head == other_head and is_same(files, other_files)


def _read(
    folder: Path, zone: str, files: list[_File], lines: list[tuple[str, InvoiceLine]]
) -> None:
    """Add the files of a folder, and the lines of those that can be read."""
    mapping = InvoiceMapping()
    try:
        mapping = read_mapping(folder)
    except ValueError as error:
        files.append((MAPPING, 0, str(error)))
    try:
        paths = list(invoice_files(folder))
    except OSError as error:
        files.append((folder.name, 0, f"cannot be read ({error.strerror})"))
        return
    seen: dict[str, str] = {}
    for path in paths:
        try:
            first = seen.setdefault(digest_of(path), path.name)
            found, refused = read_invoice(path, mapping, zone)
        except (ValueError, OSError) as error:
            why = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
            files.append((path.name, 0, why))
            continue
        if first != path.name:
            files.append((path.name, 0, f"has the content of {first}, which counts once"))
            continue
        files.append((path.name, len(found), _shortened(refused)))
        lines.extend((path.name, one) for one in found)


def _shortened(refused: list[str]) -> str | None:
    """Return the mistakes of lines as one text, None where there is none."""
    if not refused:
        return None
    more = f"; and {len(refused) - _MOST_NAMED:,} more" if len(refused) > _MOST_NAMED else ""
    return "; ".join(refused[:_MOST_NAMED]) + more


def _files(files: list[_File]) -> dict[str, pa.Array]:
    names, counts, errors = ([one[place] for one in files] for place in range(3))
    return {
        "file": pa.array(names, pa.string()),
        "lines": pa.array(counts, pa.int64()),
        "error": pa.array(errors, pa.string()),
    }


def _lines(lines: list[tuple[str, InvoiceLine]]) -> dict[str, pa.Array]:
    texts = {
        name: pa.array([getattr(line, name) for _, line in lines], pa.string())
        for name in ("channel", "market", "category", "currency")
    }
    return texts | {
        "file": pa.array([file for file, _ in lines], pa.string()),
        "line": pa.array([line.line for _, line in lines], pa.int64()),
        "month": pa.array([line.month for _, line in lines], pa.date32()),
        "quantity": pa.array([line.quantity for _, line in lines], pa.int64()),
        "amount": pa.array([line.amount for _, line in lines], _MONEY),
        "more": pa.array(
            [json.dumps(line.more, ensure_ascii=False) for _, line in lines], pa.string()
        ),
    }


def _store(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, pa.Array]) -> None:
    """Put rows in place of those that a table of ops has."""
    connection.register("invoice_rows", pa.table(columns))
    try:
        connection.execute(f"DELETE FROM {table}")
        connection.execute(f"INSERT INTO {table} BY NAME FROM invoice_rows")
    finally:
        connection.unregister("invoice_rows")
