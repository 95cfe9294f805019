"""Whose a webhook is, where several workspaces share a receiver, and what waits for one."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from hatif.webhooks import unassigned
from hatif.webhooks.routing import Route, Router
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.validate import unwrap
from tests.hatif.webhooks.bodies import MESSAGE

RIYADH = "3a1c3594-3280-d8f1-91b7-584a2265b1f5"
JEDDAH = "3a1c3594-3280-f2a4-dcf4-bb99f4bea973"
OTHER = "3a1c3594-3280-0000-dcf4-bb99f4bea973"
EMPTY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def router(tmp_path: Path) -> Router:
    routes = [
        Route("riyadh", tmp_path / "riyadh", Secrets("c-1=x,both=x"), RIYADH),
        Route("jeddah", tmp_path / "jeddah", Secrets("both=y"), JEDDAH),
        Route("dubai", tmp_path / "dubai", Secrets()),
    ]
    found = Router(routes, tmp_path / "_unassigned")
    found.learn({"dubai": ["C-3"], "jeddah": ["c-4"]})
    return found


def message(**more: object) -> bytes:
    """A message that names neither workspace nor channel, with some keys more."""
    known = {
        key: value for key, value in MESSAGE.items() if key not in ("workspaceId", "channelId")
    }
    return json.dumps(known | more).encode()


@pytest.mark.parametrize(
    ("body", "path", "name"),
    [
        (message(workspaceId=RIYADH), None, "riyadh"),
        (message(workspaceId=RIYADH.upper()), None, "riyadh"),
        (message(workspaceId="{" + RIYADH.replace("-", "") + "}"), None, "riyadh"),
        (message(WorkspaceId=JEDDAH), None, "jeddah"),
        (message(workspaceId=JEDDAH), "jeddah", "jeddah"),
        (message(workspaceId=JEDDAH), "riyadh", "jeddah"),
        (message(workspaceId=JEDDAH, channelId="c-1"), None, "jeddah"),
        (message(workspaceId=OTHER), None, None),
        (message(workspaceId=OTHER), "riyadh", None),
        (message(workspaceId=OTHER, channelId="c-1"), "riyadh", None),
        (message(workspaceId=EMPTY), "riyadh", "riyadh"),
        (message(workspaceId=None), "RIYADH", "riyadh"),
        (message(workspaceId="Riyadh branch"), "riyadh", "riyadh"),
        (message(channelId="c-1"), None, "riyadh"),
        (message(channelId="C-1"), "jeddah", "riyadh"),
        (message(channelId="c-3"), None, "dubai"),
        (message(channelId="c-4"), None, "jeddah"),
        (message(channelId="both"), None, None),
        (message(channelId="both"), "jeddah", "jeddah"),
        (message(channelId="new"), "dubai", "dubai"),
        (message(channelId="new"), None, None),
        (message(), "dubai", "dubai"),
        (message(), "nowhere", None),
        (message(), None, None),
        (json.dumps({"eventType": "X", "data": {"workspaceId": JEDDAH}}).encode(), None, "jeddah"),
        (json.dumps({"data": [{"workspaceId": RIYADH}, 1]}).encode(), None, "riyadh"),
        (json.dumps([{"workspaceId": RIYADH}, {"workspaceId": RIYADH}]).encode(), None, "riyadh"),
        (json.dumps([{"workspaceId": RIYADH}, {"workspaceId": JEDDAH}]).encode(), "dubai", None),
        (json.dumps([{"workspaceId": RIYADH}, {"workspaceId": OTHER}]).encode(), None, None),
        (json.dumps({"body": f'{{"workspaceId": "{RIYADH}"}}'}).encode(), None, None),
        (b"", None, None),
        (b"", "dubai", "dubai"),
        (b"\xff\xfe no text", "dubai", "dubai"),
        (b"[" * 100_000, None, None),
        (b'{"workspaceId": 1}', "dubai", "dubai"),
    ],
)
def test_a_body_goes_to_the_workspace_it_names_then_by_channel_then_by_path(
    router: Router, body: bytes, path: str | None, name: str | None
) -> None:
    route = router.route(body, path)
    assert (route.name if route else None) == name


def test_where_there_is_one_workspace_what_names_none_is_its_own(tmp_path: Path) -> None:
    only = Router([Route("a", tmp_path, Secrets(), RIYADH)], tmp_path, is_sole=True)
    assert only.route(message(), None) is only.routes[0]
    assert only.route(message(workspaceId=OTHER), None) is None


def envelope(body: bytes, **headers: str) -> bytes:
    known = {"received_at": "2026-11-01T10:00:00Z", "headers": headers}
    return json.dumps(known | {"body_base64": base64.b64encode(body).decode()}).encode() + b"\n"


def bodies(folder: Path) -> set[bytes]:
    lines = [line for file in folder.glob("*.ndjson") for line in file.read_bytes().splitlines()]
    return {unwrap(line).body for line in lines}


def test_what_waits_goes_to_its_workspace_when_that_is_known_and_nothing_is_lost(
    router: Router, tmp_path: Path
) -> None:
    folder = tmp_path / "_unassigned"
    assert unassigned.assign(router) == {}
    folder.mkdir()
    ours, foreign, by_path = message(workspaceId=JEDDAH), message(workspaceId=OTHER), message()
    (folder / "20261101-1.ndjson").write_bytes(
        envelope(ours)
        + envelope(foreign)
        + envelope(by_path, **{"x-hatif-path": "dubai"})
        + b"no envelope\n"
        + b'{"half'
    )
    (folder / "open-20261101-2.ndjson").write_bytes(envelope(ours + b" "))
    waiting = unassigned.waiting(folder)
    assert waiting.bodies == 5
    assert waiting.workspaces.most_common(1) == [(JEDDAH.replace("-", ""), 2)]

    assert unassigned.assign(router) == {"jeddah": 1, "dubai": 1}
    assert bodies(tmp_path / "jeddah") == {ours}
    assert bodies(tmp_path / "dubai") == {by_path}
    assert bodies(folder) == {foreign, b"no envelope", ours + b" "}
    assert unassigned.assign(router) == {}

    os.utime(folder / "open-20261101-2.ndjson", (0, 0))  # its receiver was killed
    known = Router([*router.routes, Route("other", tmp_path / "other", Secrets(), OTHER)], folder)
    assert unassigned.assign(known) == {"jeddah": 1, "other": 1}
    assert bodies(tmp_path / "other") == {foreign}
    assert bodies(tmp_path / "jeddah") == {ours, ours + b" "}
    assert bodies(folder) == {b"no envelope"}


def test_a_folder_that_cannot_be_written_to_keeps_what_waits_where_it_is(
    router: Router, tmp_path: Path
) -> None:
    folder = tmp_path / "_unassigned"
    folder.mkdir()
    (folder / "a.ndjson").write_bytes(envelope(message(workspaceId=JEDDAH)))
    (tmp_path / "jeddah").touch()
    with pytest.raises(OSError, match="exists"):
        unassigned.assign(router)
    assert len(bodies(folder)) == 1
