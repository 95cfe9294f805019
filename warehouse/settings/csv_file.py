"""CSV files of the user's own: rows by column, every mistake with its line and what to do.

UTF-8, separated by commas. Lines that begin with ``#`` and empty lines are skipped. A heading is
optional: without one, the number of cells decides which columns a row has. Messages never show a
cell, since the path may name a wrong file and that file may hold a secret.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_LONGEST_CELL = csv.field_size_limit()
#: Beyond these years lie mistyped dates, and instants that no time zone can express.
_FIRST, _LAST = date(1900, 1, 1), date(2199, 12, 31)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: A tab separates cells where commas should, which has a message of its own.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

DATE_RANGE = f"between {_FIRST} and {_LAST}"


@dataclass(frozen=True, slots=True)
class Form:
    """The columns a file can have.

    Attributes:
        usage: the form as shown to users, e.g. ``date[,from,to][,name]``.
        layouts: the columns of a row by its number of cells; the first layout holds the columns
            that every row has. None where a file needs a heading.
        rest: a last column whose text may hold commas without quotes around it.
        needed: the columns that a heading must name, each as the names of which it needs one;
            without it, those of the first layout.
        optional: columns that only a heading can name. Cells of these may be left out at the end.
        heading_usage: the form with a heading as shown to users, where it differs from `usage`.
        is_open: a heading may name other columns, too.
        most_bytes: largest size of a file.
        is_multiline: cells may hold line breaks.
    """

    usage: str
    layouts: tuple[tuple[str, ...], ...]
    rest: str | None = None
    needed: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()
    heading_usage: str = ""
    is_open: bool = False
    most_bytes: int = 4 * 1024 * 1024
    is_multiline: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every column that is known."""
        known = (*self.layouts, *self.needed, self.optional)
        return frozenset(name for columns in known for name in columns)

    @property
    def columns_needed(self) -> tuple[tuple[str, ...], ...]:
        """The columns that a heading must name, each as the names of which it needs one."""
        return self.needed or tuple((name,) for name in self.layouts[0])

    @property
    def first_columns(self) -> frozenset[str]:
        """Names by whose place in the first cell a heading is known on any line."""
        return frozenset(self.layouts[0][:1] if self.layouts else self.columns_needed[0])


def read_rows(path: Path, form: Form) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield each row with its line number and its cells by column; what is left out is ``""``.

    Raises:
        ValueError: a sentence that names the mistake, its line, and what to do.
    """
    for line, columns, cells in read_table(path, form):
        yield line, dict.fromkeys(form.names, "") | dict(zip(columns, cells, strict=True))


def read_table(
    path: Path, form: Form, refused: list[str] | None = None
) -> Iterator[tuple[int, tuple[str, ...], list[str]]]:
    """Yield each row with its line number, the columns it has, in their order, and their cells.

    Args:
        path: of the file.
        form: its columns.
        refused: gets the mistake of each line that is wrong, and the others go on; without it,
            and before there is a heading, the first mistake ends the reading.

    Raises:
        ValueError: as `read_rows`.
    """
    heading: tuple[str, ...] | None = None
    is_first = True
    for line, cells in _lines(_text(path, form), form, refused):
        try:
            found = _row(line, cells, heading, form, is_first=is_first)
        except ValueError as error:
            if refused is None or heading is None:
                raise
            refused.append(str(error))
            continue
        if len(found) == 1:
            heading = found[0]
        else:
            yield line, *found
        is_first = False


def _row(
    line: int, cells: list[str], heading: tuple[str, ...] | None, form: Form, *, is_first: bool
) -> tuple[tuple[str, ...]] | tuple[tuple[str, ...], list[str]]:
    """Return the columns of a heading, or those of another row and its cells."""
    if not _is_heading(cells, form, is_first=is_first):
        return _by_column(cells, heading, form, line)
    found = _heading(cells, form, line)
    if heading not in (None, found):
        raise ValueError(f"line {line}: another heading; a file has one")
    return (found,)


def first_row(path: Path, form: Form) -> list[str]:
    """Return the cells of the first row, remarks left out; none where the file is empty.

    Raises:
        ValueError: as `read_rows`.
    """
    for _, cells in _lines(_text(path, form), form):
        return cells
    return []


def parse_date(text: str) -> date:
    """Read ``YYYY-MM-DD``.

    Raises:
        ValueError: it is none, or of a year that no business has.
    """
    try:
        found = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError("dates must be YYYY-MM-DD, of a day that exists")
    if not _FIRST <= found <= _LAST:
        raise ValueError(f"dates must lie {DATE_RANGE}")
    return found


@contextmanager
def on_line(line: int) -> Iterator[None]:
    """Put the number of its line before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from None


def _text(path: Path, form: Form) -> str:
    wanted = f"it must name a CSV file {form.heading_usage or form.usage}"
    try:
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"is no regular file; {wanted}")
            raw = file.read(form.most_bytes + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); {wanted}") from None
    if len(raw) > form.most_bytes:
        raise ValueError(f"is larger than {form.most_bytes >> 20} MiB; {wanted}")
    if raw.startswith(_UTF16):
        raise ValueError("is UTF-16 text; save it as CSV UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: is not UTF-8; save it as CSV UTF-8") from None


def _open(path: str, flags: int) -> int:
    """Open without blocking: a named pipe that nothing writes to would never open."""
    return os.open(path, flags | os.O_NONBLOCK)


def _lines(
    text: str, form: Form, refused: list[str] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the line on which each begins; remarks and empty lines are left out."""
    for line, row in _records(text, refused):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        mistake = _mistake(cells, form)
        if not mistake:
            yield line, cells
        elif refused is None:
            raise ValueError(f"line {line}: {mistake}")
        else:
            refused.append(f"line {line}: {mistake}")


def _records(text: str, refused: list[str] | None) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the line on which each begins; after a wrong one it goes on with the next."""
    lines = list(io.StringIO(text, newline=None))
    begin = 0
    while begin < len(lines):
        reader = csv.reader(_content(lines, begin), strict=True)
        line = begin + 1
        try:
            for row in reader:
                yield line, row
                line = begin + reader.line_num + 1
            begin = len(lines)
        except csv.Error as error:
            if refused is None:
                raise ValueError(f"line {line}: {_explained(error)}") from None
            refused.append(f"line {line}: {_explained(error)}")
            begin = line


def _mistake(cells: list[str], form: Form) -> str:
    """Return what is wrong with a row, whatever its columns; empty where nothing is."""
    text = "".join(cells)
    if _CONTROL.search(text.replace("\n", "") if form.is_multiline else text):
        return "a line break or control character in a cell; write each row on one line"
    if len(cells) == 1 and re.search(r"[;\t]", cells[0]) and len(form.names) > 1:
        return f"cells must be separated by commas: {form.usage}"
    return ""


def _explained(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"a cell is longer than {_LONGEST_CELL:,} characters, or its quote is never closed"
    return "a quoted cell does not end where it should; write a quote inside it twice"


def _content(lines: list[str], begin: int) -> Iterator[str]:
    """Yield lines; remarks become empty, so that a quote in one opens no cell."""
    is_quoted = False
    for number in range(begin, len(lines)):  # a slice would pass over all lines before, each time
        line = lines[number]
        if not is_quoted and line.lstrip().startswith("#"):
            yield "\n"
            continue
        is_quoted ^= line.count('"') % 2 == 1
        yield line


def _is_heading(cells: list[str], form: Form, *, is_first: bool) -> bool:
    """Recognise a heading by its first column's name, on the first row by any column's."""
    names = [cell.lower() for cell in cells]
    return names[0] in form.first_columns or (is_first and bool(form.names.intersection(names)))


def _heading(cells: list[str], form: Form, line: int) -> tuple[str, ...]:
    usage = form.heading_usage or form.usage
    names = tuple(cell.lower() for cell in cells)
    while names and not names[-1]:
        names = names[:-1]
    for place, name in enumerate(names, 1):
        if name not in form.names and not (form.is_open and name):
            raise ValueError(f"line {line}: column {place} of the heading is none of {usage}")
        if name in names[: place - 1]:
            shown = f"called {name}" if name in form.names else f"alike, the second is {place}"
            raise ValueError(f"line {line}: two columns of the heading are {shown}")
    if missing := ["|".join(one) for one in form.columns_needed if not set(one) & set(names)]:
        raise ValueError(f"line {line}: the heading lacks {', '.join(missing)}; needs {usage}")
    return names


def _by_column(
    cells: list[str], heading: tuple[str, ...] | None, form: Form, line: int
) -> tuple[tuple[str, ...], list[str]]:
    """Return the columns of a row, and its cells."""
    if heading is None and not form.layouts:
        raise ValueError(f"line {line}: the file needs a first line of column names: {form.usage}")
    layouts = {len(layout): layout for layout in form.layouts}
    if heading is not None:
        layouts = (
            {len(heading): heading}
            if heading not in form.layouts
            else layouts | {len(heading): heading}
        )
    most = max(layouts)
    while len(cells) > (len(heading) if heading else most) and not cells[-1]:
        cells = cells[:-1]  # a spreadsheet pads rows to the longest
    if len(cells) > most and form.rest and layouts[most][-1] == form.rest:
        cells = [*cells[: most - 1], ",".join(cells[most - 1 :])]
    columns = layouts.get(len(cells))
    left_out = set(heading[len(cells) :]) if heading else set()
    if columns is None and heading and left_out and left_out <= set(form.optional):
        columns = heading[: len(cells)]
    if columns is None:
        is_plain = heading is None or heading in form.layouts
        usage = form.usage if is_plain else form.heading_usage or form.usage
        raise ValueError(f"line {line}: needs {usage}; has {len(cells)} cells")
    return columns, cells
