"""One receiver for all workspaces: each gets its own, and what belongs to none is kept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from pipelines import webhooks_all
from pipelines.cli import main
from pipelines.settings import require_several
from tests.pipelines.conftest import HATIF, environment


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
