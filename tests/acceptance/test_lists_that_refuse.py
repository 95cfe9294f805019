"""A list that the service refuses costs itself alone, is tried again later, and is named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rehearsal import Fault, RehearsalServer
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for, sync
from warehouse.settings.environment import Settings

_SMALL = {"contacts": 40, "conversations": 30, "events": 300}
_STREAMS = ("channels", "conversations", "timelines")
_PROBLEM = '{"type": "about:blank", "title": "Conflict", "status": 409}'
#: Every way to refuse a list that is not a question of credentials.
_REFUSALS: list[dict[str, object]] = [
    {"status": 400, "body": "bad request"},
    {"status": 404},
    {"status": 405},
    {"status": 409, "body": _PROBLEM, "headers": {"content-type": "application/problem+json"}},
    {"status": 410},
    {"status": 422, "body": "{}"},
    {"status": 423},
    {"status": 451},
    {"status": 204},
    {"status": 202},
    {"status": 302, "headers": {"location": "/account/login"}},
    {"status": 200, "body": "<html>hello</html>"},
    {"status": 200, "body": '{"status": "ok"}'},
    {"status": 200, "body": '{"items": [{"uid": 1}, {"uid": 2}], "totalCount": 2}'},
    {"status": 401},
    {"status": 507},
]


def _refuse(server: RehearsalServer, path: str, **params: object) -> None:
    server.fault(Fault("status", path=path, every=1, params=params))


def _timelines_asked(server: RehearsalServer) -> list[str]:
    return [r.path.split("/")[-2] for r in server.requests if r.stream == "timelines"]


def _failed(settings: Settings) -> set[str]:
    newest = (
        "SELECT parent_id FROM ops.scans WHERE stream = 'timelines' AND verdict = 'failed' "
        "AND note IS NOT NULL"
    )
    return {row["parent_id"] for row in stored(settings, newest)}


def test_every_refusal_of_one_list_fails_that_list_alone_and_is_tried_more_seldom(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    poor = sorted(server.world.conversations)[: len(_REFUSALS)]
    for talk, params in zip(poor, _REFUSALS, strict=True):
        _refuse(server, f"{talk}/timeline", **params)

    first = full_sync(settings, *_STREAMS)["timelines"]
    assert first.status == "failed"
    assert f"{len(poor)} of 30 lists could not be read" in (first.message or "")
    assert _failed(settings) == set(poor)
    missing = sum(len(server.world.conversations[talk].events) for talk in poor)
    rows = "SELECT count(*) AS n FROM core.timeline_events WHERE deleted_at IS NULL"
    assert stored(settings, rows)[0]["n"] == 300 - missing

    assert sync(settings, *_STREAMS)["timelines"].status == "failed"  # the next run tries again
    server.requests.clear()
    assert sync(settings, *_STREAMS)["timelines"].status == "done"  # the one after does not
    assert not set(_timelines_asked(server)) & set(poor)

    server.clear_faults()
    server.advance(timedelta(hours=1), status_changes=0, late_summaries=0)
    assert sync(settings, *_STREAMS)["timelines"].status == "done"
    assert differences(settings, server, "conversations", "timeline_events") == []
    assert stored(settings, "FROM ops.list_retries") == []


@pytest.mark.parametrize("share", [12, 26])
def test_many_refusals_in_a_row_do_not_stop_the_lists_behind_them(
    serve: Serve, tmp_path: Path, share: int
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home", max_concurrency=2)
    by_activity = sorted(server.world.conversations.values(), key=lambda talk: -talk.active)
    poor = {talk.id for talk in by_activity[:share]}
    for talk in poor:
        _refuse(server, f"{talk}/timeline", status=423)

    result = full_sync(settings, *_STREAMS)["timelines"]

    assert f"{share} of 30 lists" in (result.message or "")
    assert _failed(settings) == poor


def test_an_endpoint_that_refuses_the_token_others_take_fails_alone(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    for path in ("^/v1/channels", "/timeline$"):
        server.fault(Fault("401", path=path, every=1))

    results = full_sync(settings, "channels", "users", "tags", "contacts")
    assert {name for name, one in results.items() if one.status == "failed"} == {"channels"}
    assert "401 with a token that other endpoints take" in (results["channels"].message or "")

    server.clear_faults()
    server.fault(Fault("401", path="/timeline$", every=1))
    issued = server.tokens_issued
    results = full_sync(settings)
    assert {name for name, one in results.items() if one.status == "failed"} == {"timelines"}
    assert server.tokens_issued - issued <= 5  # not one for every conversation


def test_credentials_that_no_endpoint_takes_end_the_run_at_once(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    server.fault(Fault("401", path="^/v[12]/", every=1))

    results = full_sync(settings_for(server, tmp_path / "home"))

    assert {one.status for one in results.values()} == {"failed"}
    assert all("HATIF_SCOPE" in (one.message or "") for one in results.values())
    assert len(server.requests) <= 6


@pytest.mark.parametrize("answer", ["302", "page"])
def test_a_dead_token_answered_by_a_login_page_is_renewed_once(
    serve: Serve, tmp_path: Path, answer: str
) -> None:
    server = serve(**_SMALL)
    server.set_quirks(signed_out=answer)
    server.fault(Fault(stream="conversations", then="revoke_tokens"))
    server.fault(Fault(stream="timelines", nth=9, then="revoke_tokens"))
    settings = settings_for(server, tmp_path / "home")

    results = full_sync(settings)

    assert {one.status for one in results.values()} == {"done"}
    assert server.tokens_issued == 3
    assert differences(settings, server) == []


def test_a_login_page_for_every_token_is_named_once_a_stream(serve: Serve, tmp_path: Path) -> None:
    server = serve(**_SMALL)
    _refuse(server, "^/v1/tags", status=302, headers={"location": "/account/login"})

    results = full_sync(settings_for(server, tmp_path / "home"), "tags", "users")

    assert "redirect such as to a login page" in (results["tags"].message or "")
    assert results["users"].status == "done"
    assert server.tokens_issued == 2
