"""``hatif sync``: what it says, how it ends, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from hatif.reading import Quiet
from hatif.streams import STREAMS
from pipelines import progress
from pipelines.cli import main
from pipelines.sync import sync
from rehearsal import Fault
from sync.session import RunOptions, open_session
from tests.comparison import differences
from tests.conftest import IMPATIENT, Serve, full_sync, settings_for
from tests.pipelines.conftest import HATIF, ROOT, Synced, environment, hatif
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

SECRET = "the-wrong-secret-value"


@pytest.mark.parametrize(
    ("wrong", "status", "wording"),
    [
        ({"HATIF_CLIENT_SECRET": SECRET}, 1, "Check HATIF_CLIENT_ID and HATIF_CLIENT_SECRET"),
        ({"HATIF_SCOPE": "Nope"}, 1, "HATIF_SCOPE"),
        ({"HATIF_BASE_URL": "http://127.0.0.1:9"}, 1, "Check HATIF_BASE_URL"),
        ({"HATIF_BASE_URL": "ftp://x"}, 2, "HATIF_BASE_URL: must be an http"),
        ({"HATIF_REQUESTS_PER_MINUTE": "many"}, 2, "HATIF_REQUESTS_PER_MINUTE: "),
        ({"HATIF_TIMEZONE": "Mars"}, 2, "HATIF_TIMEZONE: is not the name of a time zone"),
        ({"HATIF_CLIENT_SECRET": ""}, 2, "HATIF_CLIENT_SECRET: not set"),
        ({"HATIF_CATALOG": "mysql:x"}, 2, "HATIF_CATALOG must begin with"),
        ({"HATIF_HOME": "/proc/nowhere"}, 2, "HATIF_HOME: cannot write to /proc/nowhere"),
        ({"DAGSTER_HOME": "relative"}, 2, "DAGSTER_HOME: must be the absolute path"),
    ],
)
def test_what_is_wrong_from_outside_is_one_clear_line(
    synced: Synced, wrong: dict[str, str], status: int, wording: str
) -> None:
    ended = CliRunner(env=environment(synced.settings, **wrong)).invoke(main, ["sync", "--full"])
    assert ended.exit_code == status
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    assert wording in ended.stderr
    assert SECRET not in ended.output
    assert synced.server.client_secret not in ended.output


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--stream", "nope"], "no stream is called nope; there are channels, users"),
        (["--accept-deletes"], "--accept-deletes goes with --full"),
        (["--max-requests", "0"], "not in the range"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], wording: str) -> None:
    ended = CliRunner(env=environment()).invoke(main, ["sync", *arguments])
    assert ended.exit_code == 2
    assert wording in ended.stderr


def test_streams_go_by_their_everyday_names_and_the_end_is_one_json_object(
    serve: Serve, tmp_path: Path
) -> None:
    settings = settings_for(serve(), tmp_path / "home")
    two = ["sync", "--full", "--stream", "tags", "--stream", "definitions", "--json"]
    ended = CliRunner(env=environment(settings)).invoke(main, two)
    assert ended.exit_code == 0
    reported = json.loads(ended.stdout)
    assert reported.keys() == {"streams", "requests", "webhook_events", "rejects", "seconds"}
    assert set(reported["streams"]) == {"tags", "property_definitions"}
    assert reported["streams"]["tags"] == {
        "rows_read": 12,
        "rows_changed": 12,
        "requests": 1,
        "status": "done",
    }
    assert "tags: done, 12 read, 12 new or changed, 1 request, " in ended.stderr


def test_used_up_requests_end_the_run_cleanly_and_say_what_is_left(
    serve: Serve, tmp_path: Path
) -> None:
    settings = settings_for(serve(), tmp_path / "home")
    few = ["sync", "--stream", "tags", "--stream", "users", "--max-requests", "2"]
    ended = CliRunner(env=environment(settings)).invoke(main, few)
    assert ended.exit_code == 0
    assert "stopped cleanly after 2 requests" in ended.stderr
    assert "8 records new or changed, 2 requests" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "left: 1 list (1 of tags)"


def test_a_script_sees_whether_anything_is_left(serve: Serve, tmp_path: Path) -> None:
    settings = settings_for(serve(contacts=6, conversations=5, events=30), tmp_path / "home")
    runner, left = CliRunner(env=environment(settings)), []
    while not left or left[-1]:
        ended = runner.invoke(
            main,
            ["sync", "--only", "api", "--json", "--max-requests", "16"],
            catch_exceptions=False,
        )
        assert ended.exit_code == 0, ended.stderr
        reported = json.loads(ended.stdout)
        stopped = {name for name, one in reported["streams"].items() if one["status"] == "stopped"}
        left.append(reported.get("left"))
        assert stopped == set(left[-1] or {})
        assert all(lists > 0 for lists in (left[-1] or {}).values())
    assert len(left) > 2


def test_what_is_read_and_what_is_deleted_are_counted_apart(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=40, conversations=30, events=300)
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings)
    server.delete_contacts(10)
    outcome = sync(settings, [], RunOptions(full=True, retry=IMPATIENT), Quiet(), only="api")
    contacts = outcome.results["contacts"]
    assert contacts.rows_read == 30
    assert contacts.rows_changed == contacts.deleted_here == 10
    assert ", 30 read, 0 new or changed, 10 deleted in the service, with " in progress.outcome(
        contacts
    )
    assert f" new or changed, {contacts.deleted} deleted in the service, " in outcome.summary


def test_one_failing_stream_leaves_the_others(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.fault(Fault("500", stream="tags", every=1))
    server.fault(Fault("500", stream="property_definitions", every=1))
    settings = settings_for(server, tmp_path / "home")
    outcome = sync(settings, [], RunOptions(retry=IMPATIENT), Quiet())
    statuses = {name: result.status for name, result in outcome.results.items()}
    assert statuses.pop("tags") == statuses.pop("property_definitions") == "failed"
    assert statuses.pop("property_statistics") == "skipped"
    assert set(statuses.values()) == {"done"}
    assert not outcome.ok
    assert any("GET /v1/tags/service-account: 500" in wording for wording in outcome.complaints)
    assert "property_statistics: skipped, since property_definitions failed" in outcome.complaints


def test_a_channel_whose_list_fails_keeps_no_timeline_of_the_others_waiting(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    broken, *sound = server.world.channels
    server.fault(Fault("500", path=f"/channels/{broken}", every=1))
    settings = settings_for(server, tmp_path / "home")

    outcome = sync(settings, [], RunOptions(retry=IMPATIENT), Quiet())

    statuses = {name: result.status for name, result in outcome.results.items()}
    assert (statuses["conversations"], statuses["timelines"]) == ("failed", "done")
    assert not outcome.ok
    assert [
        wording for wording in outcome.complaints if "1 of 2 lists could not be read" in wording
    ]
    of_others = [
        event.id
        for channel in sound
        for talk in server.world.by_channel[channel].values()
        for event in talk.events
    ]
    with Lake(settings, read_only=True) as lake:
        read = lake.reader().execute("SELECT event_id FROM core.timeline_events").fetchall()
    assert {event for (event,) in read} == set(of_others) != set()

    server.clear_faults()
    assert sync(settings, [], RunOptions(retry=IMPATIENT), Quiet()).ok
    assert differences(settings, server) == []


def test_a_defect_of_ours_is_never_called_done(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sync.stream_sync.settle", broken)
    outcome = sync(
        settings_for(serve(), tmp_path / "home"), ["tags"], RunOptions(retry=IMPATIENT), Quiet()
    )
    assert not outcome.ok
    assert outcome.complaints == ["tags: ended early (ZeroDivisionError)"]


def test_a_second_sync_does_not_wait_when_told_not_to(synced: Synced) -> None:
    with open_session(synced.settings):
        ended = hatif("sync", "--no-wait", settings=synced.settings)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: api.lock is held by sync (")
    assert f"process {os.getpid()}" in ended.stderr


def test_ctrl_c_ends_at_once_and_the_next_run_completes(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home", requests_per_minute=10)
    process = subprocess.Popen(
        [HATIF, "sync", "--stream", "contacts", "--stream", "history"],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while server.requests_by_stream().get("contact_history", 0) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "interrupted; what was stored stays"
    assert "Traceback" not in err
    assert hatif("sync", settings=settings, HATIF_REQUESTS_PER_MINUTE="0").returncode == 0
    with Lake(settings, read_only=True) as lake:
        runs = lake.reader().execute("SELECT status FROM ops.runs ORDER BY started_at").fetchall()
        (histories,) = lake.reader().execute(
            "SELECT count(*) FROM core.contact_history"
        ).fetchone() or (0,)
    assert runs == [("interrupted",), ("done",)]
    assert histories == server.truth_counts()["contact_history"]


def test_no_secret_and_no_forbidden_key_is_left_anywhere(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home")
    dagster = tmp_path / "dagster"
    dagster.mkdir()
    (dagster / "dagster.yaml").write_bytes((ROOT / "pipelines/dagster.yaml").read_bytes())
    ended = hatif("sync", "--full", settings=settings, DAGSTER_HOME=str(dagster))
    assert ended.returncode == 0, ended.stderr
    forbidden = [server.client_secret, server.channel_secret, "postcallwebhookurl"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".parquet" for path in files)
    assert any(path.name == "runs.db" for path in files)
    for path in files:
        content = path.read_bytes().lower()
        assert [word for word in forbidden if word.lower().encode() in content] == [], path
    texts = "\n".join(_every_text(settings)).lower()
    assert len(texts) > 100_000
    assert [word for word in forbidden if word.lower() in texts] == []
    events = b"".join(path.read_bytes() for path in dagster.rglob("*") if path.is_file())
    people = {row["name"] for row in server.truth("contacts") if len(row["name"] or "") > 8}
    people |= {row["body"] for row in server.truth("timeline_events") if len(row["body"] or "") > 8}
    reported = [
        text for text in people if text.encode() in events or json.dumps(text).encode() in events
    ]
    assert reported == []


def _every_text(settings: Settings) -> list[str]:
    """All text of all tables, deletions and inlined rows included."""
    with Lake(settings, read_only=True) as lake:
        connection: duckdb.DuckDBPyConnection = lake.reader()
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name, "
            "string_agg('\"' || column_name || '\"::VARCHAR', ', ') FROM duckdb_columns() "
            "WHERE database_name = 'wh' AND data_type IN ('VARCHAR', 'JSON') GROUP BY ALL"
        ).fetchall()
        return [
            row[0]
            for table, columns in tables
            for row in connection.execute(
                f"SELECT concat_ws(chr(10), {columns}) FROM wh.{table}"
            ).fetchall()
        ]


def test_status_tells_how_every_stream_stands(synced: Synced) -> None:
    ended = CliRunner(env=environment(synced.settings)).invoke(main, ["status", "--json"])
    reported = json.loads(ended.stdout)
    assert {name: row["rows"] for name, row in reported["streams"].items()} == (
        synced.server.truth_counts()
    )
    assert all(row["uncertified"] == 0 for row in reported["streams"].values())
    assert "synced_at" in reported["streams"]["contacts"]["cursor"]
    shown = CliRunner(env=environment(synced.settings)).invoke(main, ["status"]).stdout
    assert all(stream in shown for stream in STREAMS)


def test_status_shows_how_many_requests_brought_something(synced: Synced, tmp_path: Path) -> None:
    settings = settings_for(synced.server, tmp_path)
    for _ in range(2):
        assert hatif("sync", "--full", settings=settings).returncode == 0
    ended = CliRunner(env=environment(settings)).invoke(main, ["status", "--json"])
    counted = json.loads(ended.stdout)["requests_by_reason"]
    with Lake(settings, read_only=True) as lake:
        spent, brought = lake.reader().execute(
            "SELECT sum(requests), sum(requests) FILTER (scan_id IN (SELECT scan_id FROM "
            "raw.records)) FROM ops.scans"
        ).fetchone() or (0, 0)
    assert sum(one["requests"] for one in counted.values()) == spent
    assert sum(one["brought"] for one in counted.values()) == brought
    assert 0 < brought < spent  # the second sync found nothing new
    assert "brought something" in (
        CliRunner(env=environment(settings)).invoke(main, ["status"]).stdout
    )


def test_the_demo_ends_well_with_the_truth_of_all_nine_streams() -> None:
    ended = hatif("demo", "--contacts", "30")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("│ equal") == len(STREAMS) == 9
    assert "DIFFERENT" not in ended.stdout


@pytest.mark.parametrize(
    ("module", "imported"), [("pipelines.process", "False"), ("pipelines.cli", "True")]
)
def test_the_command_does_not_wait_for_pandas(
    synced: Synced, tmp_path: Path, module: str, imported: str
) -> None:
    """DuckDB imports it, for a third of a second, where nothing keeps it from doing so."""
    script = (
        f"import atexit, sys; from {module} import main; "
        "atexit.register(lambda: print('pandas', 'pandas' in sys.modules)); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "sync", "--only", "webhooks"],
        env=environment(synced.settings, HATIF_HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == f"pandas {imported}"


_FOR_OTHERS = "numpy httpx dagster asyncio phonenumbers psycopg warehouse.settings.workspaces"


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        (["--help"], "duckdb pyarrow pydantic rich msgspec"),
        (
            ["query", "SELECT 1"],
            _FOR_OTHERS,
        ),
        (
            ["status"],
            _FOR_OTHERS,
        ),
        (["sync", "--only", "models"], "dagster rehearsal starlette"),
    ],
    ids=["help", "query", "status", "models"],
)
def test_a_command_imports_nothing_that_it_does_not_use(
    synced: Synced, command: list[str], unneeded: str
) -> None:
    script = (
        "import atexit, sys; from pipelines.process import main; "
        "atexit.register(lambda: print('\\nimported', *sys.modules)); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env=environment(synced.settings),
        capture_output=True,
        text=True,
        check=True,
    )
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "imported"
    assert not set(unneeded.split()) & set(last)
