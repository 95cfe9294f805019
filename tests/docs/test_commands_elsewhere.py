"""The documents' commands work in a folder that is no checkout, on a home that has moved.

Commands that no test can run are named in `LEFT_OUT`, with the reason.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rehearsal import RehearsalServer, WorldSpec
from tests.conftest import full_sync, settings_for
from tests.pipelines.conftest import HATIF, ROOT, environment

#: Pages whose commands a test of their own runs, word for word.
OWN_TESTS = {
    "CONTRIBUTING.md": "tests/pipelines/test_contributing.py",
    "docs/cluster.md": "tests/cluster/test_page.py",
    "docs/questions.md": "tests/docs/test_questions.py",
    "docs/reference.md": "tests/warehouse/marts/test_definitions.py",
    "docs/sql.md": "tests/pipelines/test_sql_page.py",
    "docs/workspaces.md": "tests/pipelines/several/test_which_workspace.py",
}
#: Commands left out here, by how they begin.
LEFT_OUT = {
    "make ": "for the checkout, where it is read; CI runs demo, play has a test, doctor is below",
    "git pull ": "changes the checkout",
    "export PATH": "typed in the checkout; test_what_is_typed_once_makes_the_command_known runs it",
    "export HATIF_WEBHOOK_SECRETS": "tests/pipelines/test_collect_test.py, with a receiver",
    "hatif collect --test": "the same",
    "hatif sync --only webhooks": "the same",
    "body=": "the same",
    "signature=": "the same",
    "curl ": "the same",
}
#: Commands that serve until a signal: started below, on a port of their own.
SERVING = re.compile(r"hatif (?:live|collect --host|page(?: +#| --host)).*")
#: Seconds for all commands of a page, and for one that serves; GNU timeout ends what stays.
PATIENCE = 150


def pages() -> list[Path]:
    """Every document, in order."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(page: str) -> list[str]:
    """The commands of a page's blocks in order; one that takes several lines is one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return "".join(blocks).replace("\\\n", "").splitlines()


def is_run_here(command: str) -> bool:
    return not SERVING.match(command) and not command.startswith(tuple(LEFT_OUT))


HERE = [
    name_of(page) for page in pages() if name_of(page) not in OWN_TESTS and commands(name_of(page))
]


@dataclass(frozen=True)
class Elsewhere:
    """A folder that is no checkout, and the variables of a shell in it."""

    folder: Path
    variables: dict[str, str]

    def run(self, script: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            ["timeout", "--kill-after=5", str(PATIENCE), "bash", "-euc", script],
            cwd=folder or self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 124, "a command does not end; is it one of SERVING?"
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """A home that was filled in one place and then moved, and a service that goes on."""
    place = tmp_path_factory.mktemp("elsewhere")
    with RehearsalServer(WorldSpec(contacts=10, conversations=8, events=80)) as server:
        settings = settings_for(server, place / "first")
        full_sync(settings)
        moved = place / "moved home"
        settings.home.rename(moved)
        folder = place / "my files"
        folder.mkdir()
        (folder / ".env").write_text("HATIF_TIMEZONE=Asia/Riyadh\n")
        variables = environment(
            settings,
            HATIF_HOME=str(moved),
            BACKUP=str(place / "backup"),
            PATH=f"{HATIF.parent}:{os.environ['PATH']}",
        )
        yield Elsewhere(folder, variables)


def test_every_page_with_commands_is_run_by_a_test() -> None:
    assert HERE == ["README.md", "docs/operations.md", "docs/page.md", "docs/webhooks.md"]
    assert [path for path in OWN_TESTS.values() if not (ROOT / path).is_file()] == []


def test_only_commands_that_are_there_are_left_out() -> None:
    written = "\n".join(command for page in HERE for command in ["", *commands(page)])
    assert [start for start in LEFT_OUT if f"\n{start}" not in written] == []


@pytest.mark.parametrize("page", HERE)
def test_the_commands_of_a_page_run(page: str, elsewhere: Elsewhere) -> None:
    script = "\n".join(filter(is_run_here, commands(page)))
    # In another folder than the checkout the command has its full path, or is found by PATH.
    elsewhere.run(script.replace(".venv/bin/hatif", "hatif"))


def test_what_is_typed_once_makes_the_command_known(elsewhere: Elsewhere) -> None:
    (once,) = (one for one in commands("README.md") if one.startswith("export PATH"))
    shown = elsewhere.run(
        f'export PATH=/usr/bin:/bin\n{once}\ncd /\ncommand -v hatif; echo "$HATIF_HOME"', ROOT
    )
    assert shown.splitlines() == [str(ROOT / ".venv" / "bin" / "hatif"), str(ROOT / "data")]


@pytest.mark.parametrize(
    "command",
    [one for page in HERE for one in commands(page) if SERVING.match(one)],
)
def test_what_serves_begins_to_serve(command: str, elsewhere: Elsewhere) -> None:
    command = re.sub(r"#.*| --port \d+", "", command).strip()
    begins = "http://"
    if command == "hatif live":
        begins = "1 webhook event, "
        delivery = Path(elsewhere.variables["HATIF_HOME"]) / "webhooks" / "one.json"
        delivery.parent.mkdir(exist_ok=True)
        delivery.write_text('{"eventType": "TestDelivery", "data": {"id": "1", "channelId": "c"}}')
    else:
        command += " --port 0"
    variables = elsewhere.variables | {"HATIF_PAGE_PASSWORD": "long enough to be one"}
    with subprocess.Popen(
        ["timeout", str(PATIENCE), "bash", "-euc", f"exec {command}"],
        cwd=elsewhere.folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert begins in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
