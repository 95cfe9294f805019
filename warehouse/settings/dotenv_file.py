"""The file ``.env``: names that it sets, and lines that set nothing or are mistaken."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from hatif.errors import SettingsError
from warehouse.settings.values import PREFIX

_MOST_BYTES = 1024 * 1024
_FORM = "it must hold lines NAME=value"

# What a line lacks is stated here, with its file; the parser's own warnings name neither.
logging.getLogger("dotenv").setLevel(logging.ERROR)


def read_names(file: Path) -> tuple[list[str], list[str]]:
    """Return the names that a ``.env`` file sets, and a sentence for each line that fails to.

    A directory of that name, such as a virtual environment, is no such file.

    Raises:
        SettingsError: it is there and cannot be read.
    """
    try:
        bindings = _bindings(file)
    except FileNotFoundError:
        if file.is_symlink():
            raise SettingsError(f"{file}: is a link that leads to no file") from None
        return [], []
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8; save it as UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from None
    names = [binding.key for binding in bindings if binding.key]
    return names, [f"{file}: {mistake}" for mistake in _mistakes(bindings)]


def _bindings(file: Path) -> list[Binding]:
    """Return the statements of a file; a directory has none.

    Raises:
        SettingsError: it is no text of such a kind.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    found = file.stat()
    if stat.S_ISDIR(found.st_mode):
        return []
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{file}: is no regular file; {_FORM}")
    if found.st_size > _MOST_BYTES:
        raise SettingsError(f"{file}: is larger than {_MOST_BYTES >> 20} MiB; {_FORM}")
    with file.open(encoding="utf-8-sig") as stream:
        bindings = list(parse_stream(stream))
    if any("\0" in (one.original.string if one.error else one.key or "") for one in bindings):
        # UTF-16 without a mark at its beginning.
        raise SettingsError(f"{file}: is not UTF-8 text; save it as UTF-8 text")
    return bindings


def _mistakes(bindings: list[Binding]) -> Iterator[str]:
    """Yield a sentence for each line that sets nothing, or sets what another one sets otherwise."""
    values: dict[str, str | None] = {}
    for one in bindings:
        name = (one.key or "").upper()
        if _fails(one):
            yield f"line {_line(one)}: must be NAME=value; a value that holds quotes goes in '…'"
        elif name.startswith(PREFIX) and values.setdefault(name, one.value) != one.value:
            shown = "".join(letter if letter.isalnum() else "_" for letter in name)[:60]
            yield f"line {_line(one)}: sets {shown} a second time; keep one"


def _fails(binding: Binding) -> bool:
    """Whether a line about one of our settings sets nothing."""
    if binding.error:
        return PREFIX.rstrip("_") in binding.original.string.upper()
    name = (binding.key or "").upper()
    return binding.value is None and name.startswith(PREFIX)


def _line(binding: Binding) -> int:
    """The line of a statement: what the parser counts from holds empty lines before it, too."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")
