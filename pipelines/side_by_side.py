"""Looks at several workspaces at once: one that fails or hangs holds up none of the others.

Dagster gives a tick of a sensor or schedule sixty seconds. A service that accepts connections and
answers nothing, a database that cannot be reached, or a bucket that is slow takes longer.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import duckdb

from hatif.errors import HatifError
from warehouse.lake.explain import step_failure

T = TypeVar("T")

#: Seconds that a tick waits for all of them.
PATIENCE = 30.0
#: So many are looked at in the same moment; one that was waited for in vain does not count.
_AT_ONCE = 8


@dataclass(slots=True)
class Answer(Generic[T]):
    """What came of a look at a workspace.

    Attributes:
        value: what the function returned; None where it raised.
        error: why it has none, a sentence.
        fault: names of files and lines, where the error is one of this program.
    """

    value: T | None = None
    error: str | None = None
    fault: str | None = None


@dataclass(slots=True)
class _Look(Generic[T]):
    """A look under way: its thread, and what it found once that has ended."""

    thread: threading.Thread
    answer: Answer[T] = field(default_factory=Answer)


class SideBySide(Generic[T]):
    """Calls a function for each workspace, in threads.

    What was not ready in time goes on, and is an answer to the next call.

    Args:
        patience: seconds that a call takes at most.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._looks: dict[str, _Look[T]] = {}

    def call(self, names: Iterable[str], function: Callable[[str], T]) -> Mapping[str, Answer[T]]:
        """Return an answer for each name; that of one that is still at it is an error that says so.

        Args:
            names: of workspaces.
            function: called with each of them, unless its last call is still under way.
        """
        names = list(names)
        end = time.monotonic() + self._patience
        free = threading.Semaphore(_AT_ONCE)
        for name in names:
            if name not in self._looks and free.acquire(timeout=max(0.0, end - time.monotonic())):
                self._looks[name] = self._start(name, function, free)
        return {name: self._answer(name, end) for name in names}

    def _start(
        self, name: str, function: Callable[[str], T], free: threading.Semaphore
    ) -> _Look[T]:
        def work() -> None:
            try:
                look.answer.value = function(name)
            except HatifError as error:
                look.answer.error = str(error)
            except (duckdb.Error, OSError) as error:
                look.answer.error = step_failure(error)
            except Exception as error:  # noqa: BLE001 - reported, and the others go on
                look.answer.error = f"{type(error).__name__}, a fault of this program"
                # Without its message, which can quote anything.
                look.answer.fault = "".join(traceback.format_tb(error.__traceback__))
            finally:
                free.release()

        look = _Look[T](threading.Thread(target=work, name=f"look at {name}", daemon=True))
        look.thread.start()
        return look

    def _answer(self, name: str, end: float) -> Answer[T]:
        look = self._looks.get(name)
        if look is None:
            return Answer(error="there was no time left to look; at the next tick")
        look.thread.join(max(0.0, end - time.monotonic()))
        if look.thread.is_alive():
            return Answer(error=f"does not answer within {self._patience:.0f} s")
        del self._looks[name]
        return look.answer
