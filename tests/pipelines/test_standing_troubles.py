"""Exit 1 is for what is new: what is known and acknowledged is shown and costs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from rehearsal import Fault, RehearsalServer
from tests.comparison import stored
from tests.conftest import Serve, settings_for
from tests.pipelines.conftest import Synced, environment
from warehouse.settings.environment import Settings

_SMALL = {"contacts": 20, "conversations": 10, "events": 60}


def _hatif(settings: Settings, *arguments: str) -> Result:
    return CliRunner(env=environment(settings)).invoke(main, list(arguments))


def _answer_always(server: RehearsalServer, stream: str, body: Any) -> None:
    server.fault(Fault("garbage", stream=stream, every=1, params={"body": body}))


def test_a_standing_reject_fails_runs_until_it_is_acknowledged_and_again_when_reopened(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    invited = {"id": "m1", "userId": None, "name": "Invited", "role": 2}
    _answer_always(server, "users", [invited, {"id": "m2", "userId": "u2", "name": "Here"}])
    sync = ("sync", "--stream", "users", "--only", "api")
    first = _hatif(settings, *sync)
    assert first.exit_code == 1
    assert "1 record set aside; see: hatif rejects" in first.stderr

    [listed] = json.loads(_hatif(settings, "rejects", "--json").stdout)
    acknowledged = _hatif(
        settings, "rejects", "ack", listed["id"], "--by", "Mona", "--why", "invited, not joined"
    )
    assert (acknowledged.exit_code, acknowledged.stdout) == (0, "1 acknowledged\n")
    quiet = _hatif(settings, *sync)
    assert (quiet.exit_code, "1 set aside (1 acknowledged)" in quiet.stderr) == (0, True)
    [listed] = json.loads(_hatif(settings, "rejects", "--json").stdout)
    assert (listed["acknowledged_by"], listed["why"]) == ("Mona", "invited, not joined")

    server.clear_faults()
    _answer_always(server, "users", [invited, {"name": "another"}, {"id": "m2", "userId": "u2"}])
    assert "error: 1 record set aside" in _hatif(settings, *sync).stderr  # the new one alone
    assert _hatif(settings, "rejects", "reopen", "--stream", "users").stdout == "1 open again\n"
    assert "error: 2 records set aside" in _hatif(settings, *sync).stderr
    kept = stored(settings, "FROM ops.acknowledgements")
    assert [(row["why"], row["withdrawn_at"] is None) for row in kept] == [
        ("invited, not joined", False)
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--why", "x"], "say which"),
        (["abcdefgh", "--why", "x"], "no open reject"),
        (["ab", "--why", "x"], "no open reject"),
        (["abcdefgh"], "--why"),
        (["--stream", "users", "--why", " "], "must not be empty"),
    ],
)
def test_an_acknowledgement_must_say_which_and_why(
    synced: Synced, arguments: list[str], says: str
) -> None:
    ended = _hatif(synced.settings, "rejects", "dismiss", *arguments)
    assert (ended.exit_code, says in ended.stderr) == (2, True)


def test_standing_duplicates_are_no_failure_and_cost_no_further_pass(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    user = {"id": "m1", "userId": "u1", "name": "Twice"}
    tags = [{"id": f"t{n // 2}", "name": "tag"} for n in range(6)]
    _answer_always(server, "users", [user, {"id": "m2", "userId": "u2"}, user])
    _answer_always(server, "tags", {"totalCount": 6, "items": tags})
    for _ in range(2):
        server.requests.clear()
        both = ("--stream", "users", "--stream", "tags")
        assert _hatif(settings, "sync", *both, "--only", "api").exit_code == 0
        assert len(server.requests) == 3
    rows = "SELECT count(*) AS n FROM core.users"
    assert stored(settings, rows) == [{"n": 2}]


def test_a_list_that_can_never_be_proven_is_a_failure_three_times_and_then_a_note(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    items = [{"id": f"t{n}", "name": "tag"} for n in range(6)]
    _answer_always(server, "tags", {"totalCount": 9, "items": items})
    sync = ("sync", "--stream", "tags", "--only", "api")
    costs = []
    for _ in range(3):
        server.requests.clear()
        ended = _hatif(settings, *sync)
        costs.append(len(server.requests))
        assert ended.exit_code == 1
        assert "unproven" in ended.stderr
    server.requests.clear()
    ended = _hatif(settings, *sync)
    assert (ended.exit_code, "note: tags: known to be unproven" in ended.stderr) == (0, True)
    assert len(server.requests) <= min(costs)
    shown = _hatif(settings, "status").stdout
    assert "tags: 1 list unproven, next try" in shown
    assert "6 records were seen in 2 passes; the service counts 9" in " ".join(shown.split())

    server.clear_faults()
    assert _hatif(settings, *sync).exit_code == 0
    assert stored(settings, "FROM ops.list_retries") == []


def test_a_wait_of_hours_is_kept_by_the_next_run_and_webhooks_are_read_meanwhile(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    server.fault(Fault("429", stream="channels", params={"retry_after": 7200}))
    assert _hatif(settings, "sync", "--only", "api", "--stream", "channels").exit_code == 1
    server.clear_faults()
    server.requests.clear()
    (settings.home / "webhooks").mkdir(exist_ok=True)
    (settings.home / "webhooks" / "a.json").write_text('{"callId": "c1", "channelId": "x"}')

    ended = _hatif(settings, "sync")

    assert ended.exit_code == 1
    assert server.requests == []
    assert "the service requires a wait: to be sent again in" in ended.stderr
    assert "0 requests, 1 webhook event" in ended.stdout
    last = "SELECT status, error FROM ops.runs ORDER BY started_at DESC LIMIT 1"
    [run] = stored(settings, last)
    assert (run["status"], "requires a wait" in run["error"]) == ("failed", True)
