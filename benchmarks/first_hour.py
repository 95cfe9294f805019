"""``python -m benchmarks.first_hour``: the first hour of somebody new, played from a fresh clone.

    python -m benchmarks.first_hour > transcript.txt
    python -m benchmarks.first_hour --credentials > transcript.txt

It clones this checkout into an empty folder and types what README and the instructions printed
say, nothing else. Without credentials one terminal serves a made-up workspace (``make play``), the
other follows what that prints. With them a rehearsal server is the service, under the request
budget of a real one; ``.env`` is written as README shows it, with that server's address. The
transcript has every command with what it shows, then minutes and commands. Installing needs the
package index.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rehearsal import RehearsalServer, WorldSpec

_ROOT = Path(__file__).parents[1]
_SHOWN = 30
_CLONE = f"git clone -q {shlex.quote(str(_ROOT))} hatif-warehouse"
#: So large that a first sync under the budget of 60 requests a minute takes a few minutes.
_WORKSPACE = WorldSpec(contacts=60, conversations=60, events=1_200)


class Newcomer:
    """Types commands in a folder; each is shown with the end of its output.

    Args:
        place: the folder to begin in.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.commands = 0
        self._began = time.monotonic()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HATIF_", "DAGSTER_", "VIRTUAL_ENV"))
        }

    def type(self, command: str, place: Path | None = None) -> str:
        """Run a command to its end and return what it printed; a failure ends the hour."""
        began = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=place or self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.commands += 1
        show(command, done.stdout, f"exit {done.returncode}, {time.monotonic() - began:.0f} s")
        if done.returncode:
            sys.exit(1)
        return done.stdout

    def end(self) -> None:
        """Show commands and minutes."""
        minutes = (time.monotonic() - self._began) / 60
        sys.stdout.write(f"{self.commands} commands, {minutes:.1f} minutes to the first answer\n")


def show(command: str, output: str, end: str) -> None:
    """Show a command with the end of its output."""
    lines = output.rstrip().splitlines()
    cut = ["…"] if len(lines) > _SHOWN else []
    sys.stdout.write("\n".join([f"$ {command}", *cut, *lines[-_SHOWN:], f"[{end}]", "", ""]))
    sys.stdout.flush()


def without_credentials(newcomer: Newcomer) -> None:
    """Clone, ``make play``, and what that prints."""
    newcomer.type(_CLONE)
    began = time.monotonic()
    serving = subprocess.Popen(
        ["make", "play"],
        cwd=newcomer.place / "hatif-warehouse",
        env=newcomer.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed = ""
        while "faults/rate" not in printed:
            line = serving.stdout.readline() if serving.stdout else ""
            if not line:
                sys.exit("make play ended")
            printed += line
        newcomer.commands += 1
        show("make play", printed, f"serves on, {time.monotonic() - began:.0f} s")
        steps = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
        go, sync, query = steps[:3]
        for command in (f"{go} && {sync}", f"{go} && {query}"):
            newcomer.type(command)
    finally:
        os.killpg(serving.pid, signal.SIGINT)
        serving.wait(30)
    newcomer.end()


def with_credentials(newcomer: Newcomer) -> None:
    """Clone, write ``.env``, and README's commands of a first real sync and a first question."""
    page = (_ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(
        r"```(?:sh|ini)\n(.*?)```", page.split("## A first real sync")[1], re.DOTALL
    )
    settings, commands, *_ = blocks
    (question, *_) = re.findall(r"^\.venv/bin/hatif query .*$", page, re.MULTILINE)
    clone = newcomer.place / "hatif-warehouse"
    with RehearsalServer(_WORKSPACE) as server:
        newcomer.type(_CLONE)
        settings = settings.replace("your-client-id", server.client_id)
        settings = settings.replace("your-client-secret", server.client_secret)
        settings += f"HATIF_BASE_URL={server.url}\n"
        (clone / ".env").write_text(settings, encoding="utf-8")
        show("edit .env", re.sub(r"(SECRET=).*", r"\1…", settings), "in an editor")
        for command in (*commands.strip().splitlines()[:2], question):
            newcomer.type(command, clone)
    newcomer.end()


def main() -> None:
    """Play it."""
    with tempfile.TemporaryDirectory() as folder:
        play = with_credentials if "--credentials" in sys.argv[1:] else without_credentials
        play(Newcomer(Path(folder)))


if __name__ == "__main__":
    main()
