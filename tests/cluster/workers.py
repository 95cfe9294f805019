"""Commands that run over and over on one catalog, each killed at random; and what disturbs them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
HATIF = str(Path(sys.executable).with_name("hatif"))
#: Share of runs that are left to their end.
_LEFT = 0.25
_HANGS = 180.0  # seconds after which a command that nobody kills counts as stuck
#: The server notices the end of a killed session; whoever starts a service again waits as long.
_BEFORE_NEXT = 0.5


class Failure(NamedTuple):
    """A command that ended with an error.

    Attributes:
        words: its arguments.
        code: its exit status.
        began, ended: monotonic seconds.
        output: both streams.
    """

    words: tuple[str, ...]
    code: int
    began: float
    ended: float
    output: str


class Command(NamedTuple):
    """What a worker may run.

    Attributes:
        words: arguments of `hatif`.
        longest: seconds after which it is killed at the latest.
        ends: whether it ends by itself.
    """

    words: tuple[str, ...]
    longest: float
    ends: bool = True


class Worker(threading.Thread):
    """Runs commands in a home until the end, one after the other, and kills them at random.

    Args:
        commands: one of these is drawn each time.
        environment: variables of the home.
        seed: of what is drawn.

    Attributes:
        kills, done: commands that were killed, and that ended well, by their words.
        failures: those that ended with an error.
    """

    def __init__(self, commands: Sequence[Command], environment: dict[str, str], seed: int) -> None:
        super().__init__(daemon=True)
        self._commands = commands
        self._environment = environment
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self.kills: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def run(self) -> None:
        while not self._over.is_set():
            self._one(self._dice.choice(self._commands))

    def _one(self, command: Command) -> None:
        is_left = command.ends and self._dice.random() < _LEFT
        patience = _HANGS if is_left else self._dice.uniform(0.3, command.longest)
        began = time.monotonic()
        process = subprocess.Popen(
            [HATIF, *command.words],
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            # Read while it runs, lest it waits for room in the pipe.
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        name = " ".join(command.words)
        if process.returncode == -signal.SIGKILL and not is_left:
            self.kills[name] += 1
            self._over.wait(_BEFORE_NEXT)
        elif process.returncode == 0:
            self.done[name] += 1
        else:
            ended = time.monotonic()
            found = Failure(command.words, process.returncode, began, ended, output)
            self.failures.append(found)

    def stop(self) -> None:
        """Let the command under way end, and begin no other."""
        self._over.set()

    def wait(self) -> None:
        """Wait for the end of the last command."""
        self.join()


class Disturber(threading.Thread):
    """Does one of several things at random instants, until the end.

    Args:
        actions: what it does.
        every: seconds between two of them, on average.
        seed: of what is drawn.

    Attributes:
        done: when each began and ended, in monotonic seconds.
    """

    def __init__(self, actions: Sequence[Callable[[], object]], every: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._actions = actions
        self._every = every
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self.done: list[tuple[float, float]] = []

    def run(self) -> None:
        while not self._over.wait(self._dice.uniform(0.5, 1.5) * self._every):
            began = time.monotonic()
            self._dice.choice(self._actions)()
            self.done.append((began, time.monotonic()))

    def stop(self) -> None:
        """Begin nothing more, and wait for the end of what is under way."""
        self._over.set()
        self.join()

    def struck(self, failure: Failure) -> bool:
        """Whether anything was done while a command ran that failed."""
        return any(began < failure.ended and ended > failure.began for began, ended in self.done)
