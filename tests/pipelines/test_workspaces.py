"""Several workspaces on the command line: each by itself, and one keeps no other from its own."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import httpx
import pytest
from click.testing import CliRunner, Result

from pipelines import webhooks_all
from pipelines.cli import main
from pipelines.settings import require_several
from pipelines.sync_all import Ended, SyncAll
from rehearsal import RehearsalServer, WorldSpec
from tests.conftest import full_sync, settings_for
from tests.docs.test_commands_elsewhere import commands
from tests.pipelines.conftest import HATIF, ROOT, environment, hatif
from tests.template import make_home
from warehouse.settings.environment import Settings

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RehearsalServer, RehearsalServer]]:
    """Two workspaces that live."""
    with (
        RehearsalServer(WorldSpec(seed=1, contacts=12, conversations=8, events=80)) as one,
        RehearsalServer(WorldSpec(seed=2, contacts=20, conversations=10, events=90)) as two,
    ):
        yield one, two


@pytest.fixture(scope="module")
def homes(
    servers: tuple[RehearsalServer, RehearsalServer], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the homes of both, synced; nobody may change it."""
    folder = tmp_path_factory.mktemp("homes")
    for name, server in zip(("riyadh", "jeddah"), servers, strict=True):
        full_sync(settings_for(server, folder / name), "channels", "users", "tags", "contacts")
    return folder


def _table(name: str, server: RehearsalServer) -> str:
    return (
        f'[{name}]\nbase_url = "{server.url}"\nclient_id = "{server.client_id}"\n'
        f'client_secret = {{ env = "SECRET_{name.upper()}" }}\n'
    )


@pytest.fixture
def run(
    servers: tuple[RehearsalServer, RehearsalServer], homes: Path, tmp_path: Path
) -> tuple[Run, dict[str, str]]:
    """Run a command in a folder of both workspaces, and of one with a mistake."""
    riyadh, jeddah = servers
    (tmp_path / "all.toml").write_text(
        "[defaults]\nrequests_per_minute = 0\n"
        + _table("riyadh", riyadh)
        + _table("jeddah", jeddah)
        + '[dubai]\ntimezone = "Mars"\n'
    )
    variables = environment(
        None,
        HATIF_WORKSPACES=str(tmp_path / "all.toml"),
        HATIF_HOME=str(homes),
        SECRET_RIYADH=riyadh.client_secret,
        SECRET_JEDDAH=jeddah.client_secret,
    )

    def command(*arguments: str) -> Result:
        return CliRunner(env=variables).invoke(main, arguments)

    return command, variables


def test_a_question_to_all_names_the_workspace_and_reports_the_one_that_is_broken(run):
    command, _ = run
    answer = command(
        "query", "--all", "SELECT count(*) AS contacts FROM contacts", "--format", "csv"
    )
    assert answer.stdout == "workspace,contacts\nriyadh,12\njeddah,20\n"
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: dubai: ")
    assert "dubai.timezone: is not the name of a time zone" in answer.stderr


def test_all_rows_of_all_come_in_every_form_and_columns_keep_their_kinds(run, tmp_path: Path):
    command, _ = run
    sql = (
        "SELECT name, custom_fields, created_at, 1.5 AS d FROM contacts ORDER BY contact_id LIMIT 2"
    )
    rows = json.loads(command("query", "--all", sql, "--format", "json").stdout)
    assert [row["workspace"] for row in rows] == ["riyadh", "riyadh", "jeddah", "jeddah"]
    alone = json.loads(command("query", "--workspace", "jeddah", sql, "--format", "json").stdout)
    assert [dict(list(row.items())[1:]) for row in rows[2:]] == alone
    file = tmp_path / "rows.parquet"
    assert command("query", "--all", sql, "--output", str(file)).exit_code == 1
    assert file.exists()


def test_a_workspace_column_of_the_statement_itself_stays(run):
    command, _ = run
    rows = json.loads(
        command("query", "--all", "SELECT 'x' AS workspace", "--format", "json").stdout
    )
    assert rows[0] == {"workspace": "riyadh", "workspace_1": "x"}


@pytest.mark.parametrize("sql", ["SELEC 1", "FROM nope", "DROP TABLE core.tags"])
def test_sql_that_no_workspace_takes_is_one_usage_error(run, sql: str):
    command, _ = run
    answer = command("query", "--all", sql)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.count("error: riyadh, jeddah: ") == 1


def test_a_workspace_that_fails_in_the_middle_hides_no_rows_of_others(run):
    command, _ = run
    sql = "SELECT CASE WHEN count(*) = 12 THEN error('boom') ELSE 'fine' END AS x FROM contacts"
    answer = command("query", "--all", sql, "--format", "csv")
    assert "jeddah,fine" in answer.stdout
    assert "riyadh: " in answer.stderr
    assert answer.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "SELECT 1"], "name one by --workspace: riyadh, jeddah, dubai"),
        (["rebuild"], "name one by --workspace"),
        (["page", "--output", "x.html"], "name one by --workspace"),
        (["rejects"], "name one by --workspace"),
        (["rejects", "replay"], "name one by --workspace"),
        (
            ["query", "--workspace", "riyad", "SELECT 1"],
            "riyad; the nearest is riyadh",
        ),
        (["query", "--workspace", "riyadh", "--all", "SELECT 1"], "give one of them"),
        (["status", "--workspace", "dubai"], "dubai.timezone: "),
        (["sync", "--workspace", "dubai"], "dubai.timezone: "),
    ],
)
def test_which_workspace_is_meant_is_a_usage_error_that_lists_them(
    run, arguments: list[str], message: str
):
    command, _ = run
    ended = command(*arguments)
    assert (ended.exit_code, message in ended.stderr) == (2, True), ended.output


@pytest.mark.parametrize(
    "arguments", [["query", "--all", "SELECT 1"], ["query", "--workspace", "a", "SELECT 1"]]
)
def test_without_the_setting_there_is_one_workspace(arguments: list[str]):
    ended = CliRunner(env=environment(None)).invoke(main, arguments)
    assert ended.exit_code == 2
    assert "goes with HATIF_WORKSPACES, which is not set" in ended.stderr


def test_a_file_of_one_workspace_needs_no_name(run, tmp_path: Path):
    command, _ = run
    lines = (tmp_path / "all.toml").read_text().partition("[jeddah]")[0]
    (tmp_path / "all.toml").write_text(lines)
    assert "12" in command("query", "SELECT count(*) FROM contacts", "--format", "csv").stdout


def test_the_state_of_all_is_one_table(run):
    command, _ = run
    shown = command("status")
    assert shown.exit_code == 1
    assert [line.split()[0] for line in shown.stdout.splitlines() if "│" in line][:2] == [
        "riyadh",
        "jeddah",
    ]
    assert "dubai.timezone" in "".join(shown.stdout.split())
    found = json.loads(command("status", "--json").stdout)["workspaces"]
    assert {name: one["state"] for name, one in found.items()} == {
        "riyadh": "read",
        "jeddah": "read",
        "dubai": "failed",
    }
    assert found["jeddah"]["streams"]["contacts"]["rows"] == 20


def test_outputs_never_take_the_place_of_what_is_another_workspaces(run, homes: Path):
    command, _ = run
    for more in (["--all"], ["--workspace", "riyadh"]):
        target = str(homes / "jeddah" / "catalog.sqlite")
        ended = command("query", *more, "SELECT 1", "--format", "csv", "--output", target)
        assert ended.exit_code == 2, ended.output
        assert "Choose another name" in ended.stderr


@pytest.fixture
def several(
    servers: tuple[RehearsalServer, RehearsalServer], tmp_path: Path
) -> tuple[dict[str, str], Path]:
    """Variables of two sound workspaces, and of some with a wrong secret, no service, a mistake."""
    riyadh, jeddah = servers
    file = tmp_path / "all.toml"
    file.write_text(
        "[defaults]\nrequests_per_minute = 0\n"
        '[wrong]\nclient_id = "w"\nclient_secret = { env = "SECRET_RIYADH" }\n'
        f'base_url = "{jeddah.url}"\n'
        '[dead]\nclient_id = "d"\nclient_secret = { env = "SECRET_RIYADH" }\n'
        'base_url = "http://127.0.0.1:1"\n'
        '[mistaken]\ntimezon = "UTC"\n' + _table("riyadh", riyadh) + _table("jeddah", jeddah)
    )
    for name in ("wrong", "dead", "riyadh", "jeddah"):
        make_home(Settings.load(home=tmp_path / "data" / name))
    variables = {
        "HATIF_WORKSPACES": str(file),
        "SECRET_RIYADH": riyadh.client_secret,
        "SECRET_JEDDAH": jeddah.client_secret,
    }
    return variables, tmp_path / "data"


def test_a_sync_of_all_syncs_each_and_reports_those_that_failed(several):
    variables, data = several
    done = hatif("sync", "--json", "--stream", "tags", "--stream", "contacts", **variables)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert {name: one["ok"] for name, one in found["workspaces"].items()} == {
        "wrong": False,
        "dead": False,
        "mistaken": False,
        "riyadh": True,
        "jeddah": True,
    }
    assert found["workspaces"]["jeddah"]["streams"]["contacts"]["rows_changed"] == 20
    assert found["workspaces"]["riyadh"]["streams"]["contacts"]["rows_changed"] == 12
    assert "401" in found["workspaces"]["wrong"]["errors"][0]
    assert "refuses the connection" in found["workspaces"]["dead"]["errors"][0]
    assert "timezon: there is no such setting" in found["workspaces"]["mistaken"]["errors"][0]
    assert "riyadh: tags: done" in done.stderr
    assert not any(variables[name] in done.stdout + done.stderr for name in ("SECRET_RIYADH",))
    assert (data / "jeddah" / "catalog.sqlite").is_file()
    assert not (data / "catalog.sqlite").exists()


def test_the_summary_is_a_line_a_workspace(run, capsys: pytest.CaptureFixture[str]):
    _, variables = run
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        workspaces = require_several("--all")
    syncs = SyncAll(workspaces, [], 1)
    stream = {"rows_read": 9, "rows_changed": 5, "requests": 3, "status": "done"}
    result = {"streams": {"tags": stream}, "requests": 4, "rejects": 0, "seconds": 1.25}
    syncs.ended = {
        "riyadh": Ended(ok=True, result=result | {"webhook_events": 7}),
        "jeddah": Ended(errors=["boom"]),
    }
    assert Ended(ok=True, result={"left": {"timelines": 561}}).state == "left: 561 lists"
    syncs.show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].replace("│", "").split() == ["riyadh", "done", "5", "4", "7", "0", "1.2"]
    assert lines[3].replace("│", "").split() == ["jeddah", "failed"]
    assert lines[4].startswith("1 of 2 workspaces done")
    assert syncs.as_json()["requests"] == 4
    assert not syncs.ok


def test_ctrl_c_ends_the_syncs_of_all_and_a_repeated_sync_goes_on(several):
    variables, data = several
    file = Path(variables["HATIF_WORKSPACES"])
    file.write_text("[riyadh]" + file.read_text().partition("[riyadh]")[2])
    with subprocess.Popen(
        [HATIF, "sync", "--stream", "tags", "--stream", "contacts"],
        env=environment(None, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("riyadh: "):
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    command = ("sync", "--workspace", "riyadh", "--stream", "tags", "--no-wait")
    assert hatif(*command, **variables).returncode == 0
    homes = sorted(one.name for one in data.iterdir() if one.is_dir())
    assert homes == ["dead", "jeddah", "riyadh", "wrong"]


def test_the_commands_of_the_page_run_on_its_own_file(run, tmp_path: Path):
    command, _ = run
    page = (ROOT / "docs" / "workspaces.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    written = block.replace("/run/secrets", str(tmp_path)).replace('"jeddah-holidays.csv"', '""')
    (tmp_path / "riyadh").write_text("a-secret")
    (tmp_path / "all.toml").write_text(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JEDDAH_SECRET", "x")
        patch.setenv("RIYADH_CHANNEL_SECRET", "x")
        for line in commands("docs/workspaces.md"):
            name, *arguments = shlex.split(line, comments=True)
            # The sync of all has tests of its own, above.
            if name == "hatif" and arguments != ["sync"]:
                done = command(*arguments)
                assert done.exit_code == 0, done.output


def test_one_receiver_gives_each_workspace_its_own_and_keeps_what_is_nobodys(
    several, servers, monkeypatch: pytest.MonkeyPatch
):
    variables, data = several
    riyadh, jeddah = (server.client_id.partition("_API_")[0] for server in servers)
    new = "3a1c3594-3280-f2a4-dcf4-bb99f4bea9ff"
    file = Path(variables["HATIF_WORKSPACES"])
    file.write_text(file.read_text() + 'webhook_secrets = { "*" = { env = "SECRET_JEDDAH" } }\n')
    with subprocess.Popen(
        [HATIF, "collect", "--port", "0"],
        env=environment(None, **variables),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("error: mistaken: ")
        url = process.stderr.readline().split()[-1]

        def post(workspace: str | None, path: str = "") -> int:
            body = {"callId": f"{workspace}{path}", "channelId": "x", "status": 1}
            body |= {"workspaceId": workspace} if workspace else {}
            return httpx.post(f"{url}{path}", json=body).status_code

        assert post(riyadh) == 200
        assert post(riyadh, "/jeddah") == 200  # which it names counts
        assert post(None, "/riyadh") == 200
        assert post(jeddah) == 401  # all of its channels have a secret
        assert post(None, "/jeddah") == 401
        assert post(new, "/riyadh") == 200
        assert post(None, "/nowhere") == 200
        assert post(None, "/mistaken") == 200
        assert httpx.post(f"{url}/a/b", json={}).status_code == 404
        process.terminate()
        assert process.wait(30) == 0

    def kept(folder: Path) -> list[str]:
        lines = [line for one in folder.glob("*.ndjson") for line in one.read_text().splitlines()]
        return sorted(json.loads(json.loads(line)["body"])["callId"] for line in lines)

    assert kept(data / "riyadh" / "webhooks") == sorted([riyadh, f"{riyadh}/jeddah", "None/riyadh"])
    assert kept(data / "jeddah" / "webhooks") == []
    waiting = kept(data / "_unassigned")
    assert waiting == sorted([f"{new}/riyadh", "None/nowhere", "None/mistaken"])

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(main, ["status"]).stdout
    assert "Webhooks of no known workspace: 3" in shown
    assert new.replace("-", "") in shown
    text = file.read_text().replace('[mistaken]\ntimezon = "UTC"', "[mistaken]")
    file.write_text(f'{text}[new]\nclient_id = "{new}_API_1"\n')
    webhooks_all.assign(require_several("--all"))
    assert kept(data / "new" / "webhooks") == [f"{new}/riyadh"]
    assert kept(data / "mistaken" / "webhooks") == ["None/mistaken"]
    assert kept(data / "_unassigned") == ["None/nowhere"]


def test_channels_that_a_warehouse_knows_tell_whose_a_webhook_is(
    run, servers, homes: Path, monkeypatch: pytest.MonkeyPatch
):
    _, variables = run
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    rows = json.loads(
        run[0]("query", "--workspace", "jeddah", "FROM channels LIMIT 1", "--format", "json").stdout
    )
    router = webhooks_all.router_of(require_several("--all"))
    body = json.dumps({"callId": "c", "channelId": rows[0]["channel_id"], "status": 1}).encode()
    assert router.route(body, None) is None
    webhooks_all.learn(router)
    found = router.route(body, None)
    assert found is not None
    assert found.name == "jeddah"


def test_a_copy_of_all_has_the_rows_of_each_and_names_the_one_that_is_missing(run, tmp_path: Path):
    command, _ = run
    file = tmp_path / "all.duckdb"
    for _ in range(2):
        done = command("publish", "--all", str(file))
        assert (done.exit_code, done.stdout) == (1, f"{file}: 2 of 3 workspaces\n"), done.output
        assert "error: dubai: " in done.stderr
    with duckdb.connect(str(file), read_only=True) as copy:
        counted = copy.execute(
            "SELECT workspace, count(*) FROM core.contacts GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        assert counted == [("jeddah", 20), ("riyadh", 12)]
        published = copy.execute(
            "SELECT workspace, as_of IS NOT NULL, error LIKE '%timezone%' FROM published ORDER BY 1"
        ).fetchall()
        assert published == [("dubai", False, True), ("jeddah", True, None), ("riyadh", True, None)]
        columns = copy.execute("SELECT * FROM marts.conversation_now").description
        assert columns[0][0] == "workspace"
    assert [one.name for one in tmp_path.iterdir() if "publishing" in one.name] == []


def test_a_copy_of_all_never_takes_the_place_of_what_is_a_workspaces(run, homes: Path):
    command, _ = run
    done = command("publish", "--all", str(homes / "jeddah" / "catalog.sqlite"))
    assert (done.exit_code, "Choose another name" in done.stderr) == (2, True)
    done = command("publish", "--all", "--parquet", "x")
    assert (done.exit_code, "neither" in done.stderr) == (2, True)


def test_a_copy_that_has_nothing_leaves_the_one_before(run, homes: Path, tmp_path: Path):
    command, _ = run
    text = (tmp_path / "all.toml").read_text().replace("[riyadh]", "[one]")
    (tmp_path / "all.toml").write_text(text.replace("[jeddah]", "[two]"))
    (tmp_path / "old").write_text("old")
    done = command("publish", "--all", str(tmp_path / "old"))
    assert (done.exit_code, "no workspace can be copied" in done.stderr) == (1, True)
    assert (tmp_path / "old").read_text() == "old"


def test_all_are_maintained_and_one_that_cannot_be_is_reported(several):
    variables, _ = several
    done = CliRunner(env=environment(None, **variables)).invoke(main, ["maintain", "--json"])
    assert done.exit_code == 1
    assert "error: mistaken: " in done.stderr
    found = json.loads(done.stdout)["workspaces"]
    assert set(found) == {"wrong", "dead", "mistaken", "riyadh", "jeddah"}
    assert "error" in found["mistaken"]
    assert "error" not in found["riyadh"], found


def test_all_are_examined_and_each_has_its_findings(run):
    command, _ = run
    done = command("doctor", "--no-probe", "--json")
    assert done.exit_code == 1
    reports = json.loads(done.stdout)["workspaces"]
    assert [reports[name]["ok"] for name in ("riyadh", "jeddah", "dubai")] == [True, True, False]
    assert "dubai.timezone" in str(reports["dubai"]["findings"])
