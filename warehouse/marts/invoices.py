"""Invoice files into ``ops.invoice_lines``, read anew where the folder has changed.

A file that cannot be read is named with its mistake in ``ops.invoice_files``, and the others count.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.lake.sql import home_value, keep_home_values
from warehouse.settings.environment import Settings
from warehouse.settings.invoices import (
    MAPPING,
    InvoiceLine,
    InvoiceMapping,
    invoice_files,
    read_invoice,
    read_mapping,
)

_KEY = "invoices"
_MONEY = pa.decimal128(18, 6)


def bring_up(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Store the lines of all files where any of them has changed; inside a transaction."""
    now = _state(settings)
    if (home_value(connection, _KEY) or "") == now:
        return
    files: list[tuple[str, int, str | None]] = []
    lines: list[tuple[str, InvoiceLine]] = []
    if settings.invoices is not None:
        _read(settings.invoices, settings.bill_zone, files, lines)
    _store(connection, "ops.invoice_files", _files(files))
    _store(connection, "ops.invoice_lines", _lines(lines))
    keep_home_values(connection, {_KEY: now})


def _state(settings: Settings) -> str:
    """Return what the folder looks like: names, sizes and times of its files."""
    folder = settings.invoices
    if folder is None:
        return ""
    try:
        found = [
            f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
            for path in sorted(folder.iterdir())
            if path.suffix.lower() == ".csv" or path.name == MAPPING
        ]
    except OSError as error:
        return f"{folder} {error.strerror}"
    return "\n".join([str(folder), settings.bill_zone, *found])


def _read(
    folder: Path,
    zone: str,
    files: list[tuple[str, int, str | None]],
    lines: list[tuple[str, InvoiceLine]],
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
    for path in paths:
        try:
            found = read_invoice(path, mapping, zone)
        except ValueError as error:
            files.append((path.name, 0, str(error)))
            continue
        files.append((path.name, len(found), None))
        lines.extend((path.name, one) for one in found)


def _files(files: list[tuple[str, int, str | None]]) -> dict[str, pa.Array]:
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
