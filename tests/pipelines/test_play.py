"""``hatif rehearse --play``: what it prints works as it is printed, from any directory."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import rehearsal
from hatif.errors import SettingsError
from pipelines import play
from pipelines.cli import main
from rehearsal import RehearsalServer, WorldSpec

_HATIF = str(Path(sys.executable).with_name("hatif"))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the command prints in a directory with a space in its name; it serves meanwhile."""
    place = tmp_path_factory.mktemp("play") / "my files"
    place.mkdir()
    command = [_HATIF, "rehearse", "--play", "--port", "0", "--contacts", "20"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HATIF_")}
    serving = subprocess.Popen(
        command, cwd=place, env=clean, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert serving.stdout is not None
    text = ""
    while "faults/rate" not in text:
        line = serving.stdout.readline()
        assert line, text
        text += line
    yield text
    serving.send_signal(signal.SIGINT)
    assert serving.wait(20) == 0
    serving.stdout.close()


def _commands(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def test_the_commands_it_prints_lead_from_nothing_to_costs_and_waiting_customers(
    printed: str, tmp_path: Path
) -> None:
    go, sync, query, page, advance, _ = _commands(printed)
    assert page == f"{shlex.quote(_HATIF)} page"
    script = f"{go}\n{sync} --json\n{query} --format json\n"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HATIF_")}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    synced, end = json.JSONDecoder().raw_decode(done.stdout)
    assert synced["webhook_events"] > 100
    assert len(json.loads(done.stdout[end:])) > 0
    folder = Path(shlex.split(go)[1])
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert advance.startswith("curl -X POST http://127.0.0.1:")


def test_a_second_folder_gets_a_number_and_the_first_keeps_what_it_has(tmp_path: Path) -> None:
    first = play.make_folder(tmp_path / "play")
    (first / "mine").touch()
    assert play.make_folder(tmp_path / "play") == tmp_path / "play-2"
    assert [file.name for file in first.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"cannot be made \(Not a directory\)"):
        play.make_folder(tmp_path / "file" / "play")


def test_time_passes_until_the_workspace_has_caught_up(tmp_path: Path) -> None:
    folder = play.make_folder(tmp_path / "play")
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=90)
    spec = WorldSpec(contacts=5, conversations=5, events=20, now=began)
    with RehearsalServer(spec) as server:
        play.fill(folder, server)
        for _ in range(3):
            play.live(folder, server)
        assert server.now == began + timedelta(minutes=1)


def test_variables_of_the_shell_that_would_win_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATIF_HOME", "/elsewhere")
    with RehearsalServer(WorldSpec(contacts=5, conversations=5, events=20)) as server:
        assert "unset HATIF_HOME" in play.instructions(tmp_path, server)


def test_a_taken_port_leaves_no_folder(tmp_path: Path) -> None:
    with RehearsalServer(WorldSpec(contacts=1, conversations=1, events=1)) as server:
        port = server.url.rpartition(":")[2]
        wanted = tmp_path / "play"
        ended = CliRunner().invoke(main, ["rehearse", "--play", str(wanted), "--port", port])
    assert ended.exit_code == 2
    assert ended.output.count("\n") == 1
    assert not wanted.exists()


def test_make_play_takes_another_port_where_the_usual_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def serve(_: WorldSpec, __: object, port: int, *___: object) -> None:
        tried.append(port)
        if port:
            raise rehearsal.PortUnavailable("taken")

    monkeypatch.setattr(rehearsal, "serve", serve)
    ended = CliRunner().invoke(main, ["rehearse", "--play", str(tmp_path / "play")])
    assert (ended.exit_code, tried) == (0, [8765, 0])


def test_a_server_alone_names_a_taken_port_in_one_line() -> None:
    with RehearsalServer(WorldSpec(contacts=1, conversations=1, events=1)) as server:
        port = server.url.rpartition(":")[2]
        ended = CliRunner().invoke(main, ["rehearse", "--contacts", "1", "--port", port])
    assert ended.exit_code == 2
    assert port in ended.output
    assert ended.output.count("\n") == 1


def test_webhooks_go_into_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    arguments = ["rehearse", "--play", "--webhook-dir", str(tmp_path)]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 2
    assert "--play has webhooks of its own" in ended.output
