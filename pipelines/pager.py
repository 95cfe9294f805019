"""A pager for what is too long for a screen."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

#: For less, where the reader has set nothing: quit if it fits a screen, cut long lines, leave the
#: text on the screen.
_LESS = "FSX"


def _words(command: str) -> list[str]:
    """Return a command line as words; none where its quotes do not match."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def paged() -> Iterator[IO[str] | None]:
    """Lend the input of ``$PAGER``, else of less; None without a terminal or a pager.

    A reader who quits before the end ends the block quietly.
    """
    command = _words(os.environ.get("PAGER", "less"))
    if not sys.stdout.isatty() or not command or shutil.which(command[0]) is None:
        yield None
        return
    with subprocess.Popen(  # noqa: S603 - the reader's own choice of program
        command,
        stdin=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={"LESS": _LESS, "LESSCHARSET": "utf-8", **os.environ},
    ) as pager:
        if pager.stdin is None:
            raise AssertionError("it was opened with a pipe")
        # Ctrl-C reaches both: the pager takes it to stop a search, and is left by a key of its own.
        # Were this program to end, the two would read one terminal, the shell and the pager.
        with _ignoring_interrupts():
            with suppress(BrokenPipeError):
                yield pager.stdin
            with suppress(BrokenPipeError):
                pager.stdin.close()
            pager.wait()
