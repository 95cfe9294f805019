"""Ctrl-C: the command ends with exit status 130, soon and without a traceback.

DuckDB can take minutes to leave a statement, and holds whatever waits for it. So a command gets a
moment to end in order and is then ended: what was committed stays, and the next run goes on, as
after any kill.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

STATUS = 130
_MESSAGE = "interrupted; what was stored stays"
_GRACE = 3.0  # seconds
#: Seconds for a sync, which has paid for what it received and stores that first.
STORING = 20.0
_first = threading.Lock()  # taken with the first message, and never given back


class _Handler:
    """The first Ctrl-C raises KeyboardInterrupt, a second one ends the process.

    Args:
        grace: seconds until the process is ended after the first.
    """

    def __init__(self, grace: float) -> None:
        self._received = False
        self._grace = grace

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if self._received:
            end_now()
        self._received = True
        timer = threading.Timer(self._grace, end_now)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt


def install(grace: float = _GRACE) -> None:
    """Handle Ctrl-C in this process, or with another grace; call from its main thread.

    Args:
        grace: seconds that a command has for ending in order.
    """
    current = signal.getsignal(signal.SIGINT)
    if current is signal.default_int_handler or isinstance(current, _Handler):
        signal.signal(signal.SIGINT, _Handler(grace))


def report() -> None:
    """Print once that the command was interrupted; its end may be cut short after that."""
    if _first.acquire(blocking=False):
        sys.stderr.write(f"{_MESSAGE}\n")
        sys.stderr.flush()


def end_now() -> None:
    """End the process without waiting for anything; locks are freed by the system."""
    report()
    os._exit(STATUS)


def is_interruption(error: Exception) -> bool:
    """Whether an error is how DuckDB reports Ctrl-C inside a statement."""
    return (type(error) is RuntimeError and str(error) == "Query interrupted") or (
        type(error).__name__ == "InterruptException"
    )
