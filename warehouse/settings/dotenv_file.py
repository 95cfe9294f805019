"""The file ``.env``: what it sets, and lines that set nothing or are mistaken."""

from __future__ import annotations

import io
import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from hatif.errors import SettingsError
from warehouse.settings.values import PREFIX

_MOST_BYTES = 1024 * 1024
_FORM = "it must hold lines NAME=value"

# What a line lacks is stated here, with its file; the parser's own warnings name neither.
logging.getLogger("dotenv").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Variables:
    """What a ``.env`` file sets.

    Attributes:
        values: by name, as written; ``${NAME}`` in one is replaced.
        mistakes: a sentence for each line that sets nothing.
    """

    values: dict[str, str | None] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def read(file: Path) -> Variables:
    """Read a ``.env`` file.

    A directory of that name, such as a virtual environment, is no such file.

    Raises:
        SettingsError: it is there and cannot be read.
    """
    try:
        text = _text(file)
    except FileNotFoundError:
        if file.is_symlink():
            raise SettingsError(f"{file}: is a link that leads to no file") from None
        return Variables()
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8; save it as UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from None
    bindings = list(parse_stream(io.StringIO(text)))
    if any("\0" in (one.original.string if one.error else one.key or "") for one in bindings):
        # UTF-16 without a mark at its beginning.
        raise SettingsError(f"{file}: is not UTF-8 text; save it as UTF-8 text")
    return Variables(
        dotenv_values(stream=io.StringIO(text)),
        [f"{file}: {mistake}" for mistake in _mistakes(bindings)],
    )


def _text(file: Path) -> str:
    """Return what a file holds; a directory holds nothing.

    Raises:
        SettingsError: it is no text of such a kind.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    found = file.stat()
    if stat.S_ISDIR(found.st_mode):
        return ""
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{file}: is no regular file; {_FORM}")
    if found.st_size > _MOST_BYTES:
        raise SettingsError(f"{file}: is larger than {_MOST_BYTES >> 20} MiB; {_FORM}")
    return file.read_text(encoding="utf-8-sig")


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
