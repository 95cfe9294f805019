"""Where the file of message categories lies, and whether it looks like one.

Who sends messages logs it: ``message_id`` (wamid or event id), ``category`` and, if known,
``template``, as CSV or Parquet. It can be long, so settings look at its columns alone;
`warehouse.marts.categories` reads it where it has changed.
"""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

_USAGE = "it must name a CSV or Parquet file message_id,category[,template]"
_NEEDED = ("message_id", "category")
_FIRST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class CategoryFile:
    """A file of message categories.

    Attributes:
        path: of the file.
        is_parquet: its form.
        columns: the names of message_id, category and template as they are written in it; the
            last is None where it has none.
    """

    path: Path
    is_parquet: bool
    columns: tuple[str, str, str | None]


def check_message_categories(path: Path) -> CategoryFile:
    """Look at the columns of a file of message categories.

    Raises:
        ValueError: a sentence that names the mistake.
    """
    if not path.is_file():
        kind = "is no regular file" if path.exists() else "cannot be read (No such file)"
        raise ValueError(f"{kind}; {_USAGE}")
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); {_USAGE}") from None
    is_parquet = first.startswith(b"PAR1")
    names = _parquet_columns(path) if is_parquet else _csv_columns(first)
    by_name = {name.strip().lower(): name for name in names}
    if missing := [name for name in _NEEDED if name not in by_name]:
        raise ValueError(f"lacks the column {' and '.join(missing)}; {_USAGE}")
    chosen = (by_name["message_id"], by_name["category"], by_name.get("template"))
    return CategoryFile(path, is_parquet, chosen)


def _csv_columns(first: bytes) -> list[str]:
    """Return the cells of the first line; what follows may be wrong, which costs its line alone."""
    lines = first.removeprefix(codecs.BOM_UTF8).splitlines()
    heading = next((line for line in lines if line.strip() and not line.startswith(b"#")), b"")
    try:
        return next(csv.reader([heading.decode()]), [])
    except UnicodeDecodeError:
        raise ValueError(f"is not UTF-8; {_USAGE}") from None
    except csv.Error:
        return []


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow as pa  # a tenth of a second that other commands need not spend
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        raise ValueError(f"is a damaged Parquet file; {_USAGE}") from None
