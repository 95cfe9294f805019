"""Odd arguments, environments and terminals: one clear line each, and nothing destroyed."""

from __future__ import annotations

import io
import json
import os
import pwd
import signal
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hatif.errors import SettingsError
from hatif.reading import StreamResult
from pipelines import doctor, pager, process, recorded, status
from pipelines.cli import main
from pipelines.demo import settings_of
from pipelines.progress import Lines
from tests.pipelines.conftest import Synced, environment
from warehouse.errors import OutputRefused
from warehouse.reports.destinations import require_foreign
from warehouse.settings.environment import Settings


def run(*arguments: str, settings: Settings | None = None, **more: str | None) -> Result:
    surroundings: dict[str, str | None] = {**environment(settings), **more}
    return CliRunner(env=surroundings).invoke(main, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "SELECT '\udcff'"], "argument 2 is not valid UTF-8"),
        (["rejects", "ack", "\udcff", "--why", "x"], "argument 3 is not valid UTF-8"),
        (["publish", "\udcff.duckdb"], "argument 2 is not valid UTF-8"),
        (["maintain", "--keep-days", "99999999999999"], "is not in the range 2<=x<=36500"),
        (["rejects", "--json", "list"], "stand after the name of the command"),
        (["rejects", "--raw", "replay"], "stand after the name of the command"),
        (["collect", "--host", " "], "must name an address"),
    ],
)
def test_arguments_that_cannot_be_are_usage_errors(arguments: list[str], message: str) -> None:
    ended = run(*arguments)
    assert (ended.exit_code, message in ended.stderr) == (2, True), ended.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["maintain"],
        ["rebuild"],
        ["rejects", "ack", "--stream", "tags", "--why", "x"],
        ["rejects", "reopen", "--stream", "tags"],
        ["rejects", "replay"],
    ],
)
def test_no_command_but_those_that_bring_data_makes_a_warehouse(
    tmp_path: Path, arguments: list[str]
) -> None:
    ended = run(*arguments, HATIF_HOME=str(tmp_path / "mistyped"))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: there is no warehouse in ")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_takes_no_more_lines_ends_no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", Closed())
    Lines().finished(StreamResult("tags"))


def test_a_stream_that_is_none_is_named_when_rejects_are_acknowledged(synced: Synced) -> None:
    home = str(synced.settings.home)
    ended = run("rejects", "ack", "--stream", "contcts", "--why", "x", HATIF_HOME=home)
    assert ended.exit_code == 2
    assert "no stream is called contcts; there are channels, users" in ended.stderr
    known = run("rejects", "ack", "--stream", "contacts", "--why", "x", HATIF_HOME=home)
    assert (known.exit_code, known.stdout) == (0, "0 acknowledged\n")


def test_an_account_without_a_name_is_named_by_its_number(
    synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    nameless = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"))
    home = str(synced.settings.home)
    ended = run("rejects", "ack", "--why", "x", HATIF_HOME=home, **nameless)
    assert (ended.exit_code, "say which" in ended.stderr) == (2, True)


@pytest.mark.parametrize("place", ["/dev/null", "/dev/stdout", "/dev/new", "/proc/self/fd/1"])
def test_no_output_takes_the_place_of_a_device(tmp_path: Path, place: str) -> None:
    # Not by the commands: should this fail, they would replace the machine's own.
    with pytest.raises(OutputRefused, match="is no regular file"):
        require_foreign(Settings.load(home=tmp_path / "home"), Path(place))


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to a pipe"])
def test_no_output_takes_the_place_of_a_pipe_or_socket(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link to a pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for arguments in (
            ["publish", kind],
            ["publish", "--parquet", kind],
            ["query", "SELECT 1", "--output", kind, "--format", "csv"],
        ):
            ended = run(*arguments, HATIF_HOME=str(tmp_path / "home"))
            assert ended.exit_code == 2, ended.output
        assert (Path("pipe").is_fifo(), Path("socket").is_socket()) == (True, True)


@pytest.mark.parametrize(
    "text", ["a: [", "- 1", "\x00", "concurrency: 5", "unknown: 1", "storage: {sqlite: 1}"]
)
def test_a_dagster_yaml_that_is_wrong_in_any_way_is_a_settings_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match=r"with a sound dagster\.yaml"):
        recorded.instance()


def test_a_damaged_store_of_runs_is_a_settings_error_before_the_sync_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "runs.db").write_bytes(b"no database" * 100)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="DAGSTER_HOME"):
        recorded.instance()


@pytest.mark.parametrize("pager_command", ["'", 'less "-R', "  ", "", "no-such-program"])
def test_a_pager_that_cannot_be_started_is_left_out(
    monkeypatch: pytest.MonkeyPatch, pager_command: str
) -> None:
    monkeypatch.setenv("PAGER", pager_command)
    monkeypatch.setattr(sys, "stdout", _Terminal())
    with pager.paged() as found:
        assert found is None


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_interrupt_while_a_pager_shows_rows_leaves_the_pager_to_its_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.setattr(sys, "stdout", _Terminal())
    handler = signal.getsignal(signal.SIGINT)
    with pager.paged() as out:
        assert out is not None
        os.kill(os.getpid(), signal.SIGINT)
        out.write("")
    assert signal.getsignal(signal.SIGINT) is handler


def test_output_to_a_program_is_utf_8_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    process.open_standard_streams()
    sys.stdout.write("مرحبا\n")
    sys.stdout.flush()
    assert written.getvalue().decode() == "مرحبا\n"


def test_a_terminal_shows_what_its_encoding_lacks_as_an_escape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = _TerminalOfBytes()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1"))
    process.open_standard_streams()
    sys.stdout.write("é م\n")
    sys.stdout.flush()
    assert written.getvalue() == b"\xe9 \\u0645\n"


class _TerminalOfBytes(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_closed_output_and_error_do_not_end_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    process.open_standard_streams()
    assert (sys.stdout.writable(), sys.stderr.writable()) == (True, True)
    assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)


def test_status_shows_names_and_errors_as_they_are_without_markup_or_control_characters(
    synced: Synced, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status.gather(synced.settings)
    found["webhook_files"]["others"] = {"count": 1, "first": ["[/red]:smile:.txt"]}
    found["runs"][0]["error"] = "GET [/b] \x1b[2J"
    found["lists_tried_later"] = [
        {
            "stream": "tags",
            "lists": 1,
            "verdict": "failed",
            "next_try_at": None,
            "message": "[red]\x1b]0;x\x07",
        }
    ]
    status.show(found)
    shown = capsys.readouterr().out
    assert "'[/red]:smile:.txt'" in shown
    assert "GET [/b] \\x1b[2J" in shown
    assert "[red]\\x1b]0;x\\x07" in shown


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"{", b"\xff", b'{"service_answers": 5}', b'{"service_answers": [{}]}']
)
def test_a_report_of_the_doctor_that_cannot_be_read_counts_as_none(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "doctor.json").write_bytes(content)
    kept = doctor._read(tmp_path / "doctor.json")
    assert (kept.service_answers, kept.asked_at) == ([], None)


def test_what_the_doctor_found_is_shown_where_it_cannot_be_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "doctor.json").mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    ended = run("doctor", "--no-probe", "--json", HATIF_HOME=str(home))
    found = {one["check"]: one["says"] for one in json.loads(ended.stdout)["findings"]}
    assert found["settings"] == "every setting can be read"
    assert found["doctor.json"].startswith("not kept: ")


def test_the_demo_needs_nothing_of_the_environment(
    synced: Synced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "HATIF_HOLIDAYS": "/no/such.csv",
        "HATIF_TIMEZONE": "Mars",
        "HATIF_DELETE_BRAKE": "0%",
        "HATIF_LAKE": "s3://elsewhere/lake",
    }.items():
        monkeypatch.setenv(name, value)
    settings = settings_of(synced.server, tmp_path / "home")
    assert (settings.holidays, settings.timezone) == ((), "Asia/Riyadh")
    assert (settings.delete_brake, settings.lake_path) == ("10%", str(tmp_path / "home" / "lake"))
