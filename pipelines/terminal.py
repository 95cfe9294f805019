"""Text for terminals: what customers write must not steer the screen of those who read it."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

#: Control characters other than tab and line break, and those that reverse the order of letters:
#: a terminal obeys them. Marks of direction, which Arabic text needs, stay.
_OBEYED = (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F))
_HARMLESS = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*_OBEYED, *range(0x2066, 0x206A))
}


def printable(text: str) -> str:
    """Return the text with such characters written out as hexadecimal escapes."""
    return text.translate(_HARMLESS)


def own_program() -> Path:
    """Return the path of ``hatif``, which need not be on PATH."""
    return Path(sys.executable).with_name("hatif")


def own_command() -> str:
    """Return ``hatif`` by its full path, fit for a shell."""
    return shlex.quote(str(own_program()))


def runnable(text: str) -> str:
    """Return the text with our commands in it named so that a shell finds them.

    Messages say ``hatif sync``. Where PATH leads to no such command, or to another installation's,
    it gets its full path.
    """
    context = click.get_current_context(silent=True)
    root = context.find_root().command if context else None
    names = root.commands if isinstance(root, click.Group) else {}
    own = Path(sys.executable).with_name("hatif")
    found = shutil.which("hatif")
    if not names or (found and Path(found).absolute() == own.absolute()):
        return text
    pattern = rf"(?<![\w./'-])hatif (?=(?:{'|'.join(names)})\b)"
    return re.sub(pattern, lambda _: f"{own_command()} ", text)


def count(number: int, what: str) -> str:
    """Return a number with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def console(width: int | None = None) -> Console:
    """Return a console on standard output that takes text as it is: brackets are no markup.

    Args:
        width: in columns, where standard output is no terminal; None for rich's own.
    """
    # Here, since most of what uses this module draws nothing.
    from rich.console import Console

    return Console(
        highlight=False,
        markup=False,
        emoji=False,
        width=None if sys.stdout.isatty() else width,
    )


class PrintableOutput:
    """A stream that writes out such characters where its text goes to a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Write the text, and return its length."""
        return self._stream.write(printable(text) if self._is_terminal else text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()
