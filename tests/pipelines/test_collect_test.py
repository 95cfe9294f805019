"""A test delivery shows that the receiver takes what Hatif will send, the signature included."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.comparison import stored
from tests.pipelines.conftest import HATIF, ROOT, environment
from warehouse.settings.environment import Settings

_SECRETS = "channel-id=secret,other=another"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The home and the port of a running receiver."""
    home = tmp_path_factory.mktemp("collect")
    variables = environment(None, HATIF_HOME=str(home), HATIF_WEBHOOK_SECRETS=_SECRETS)
    with subprocess.Popen(
        [HATIF, "collect", "--port", "0"], env=variables, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        address = process.stderr.readline().split()[-1]
        yield home, re.findall(r":(\d+)/", address)[0]
        process.terminate()


def _run(home: Path, command: list[str | Path], **more: str) -> subprocess.CompletedProcess[str]:
    variables = environment(
        None, **{"HATIF_HOME": str(home), "HATIF_WEBHOOK_SECRETS": _SECRETS} | more
    )
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_both_ways_on_the_page_bring_a_signed_event_into_the_warehouse(
    receiver: tuple[Path, str],
) -> None:
    home, port = receiver
    sent = _run(home, [HATIF, "collect", "--test", "--port", port])
    assert sent.returncode == 0, sent.stderr
    assert "stored a test delivery, signed by the secret of channel channel-id" in sent.stdout

    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (recipe,) = (one for one in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "openssl" in one)
    by_hand = _run(home, ["bash", "-euc", recipe.replace(":8080", f":{port}")])
    assert "200 OK" in by_hand.stdout

    synced = _run(home, [HATIF, "sync", "--only", "webhooks", "--json"])
    assert synced.returncode == 0, synced.stderr
    assert json.loads(synced.stdout)["webhook_events"] == 2
    rows = stored(Settings.load(home=home), "SELECT kind, signature FROM raw.webhook_events")
    assert rows == [{"kind": "workspace", "signature": "valid"}] * 2


@pytest.mark.parametrize(
    ("secrets", "wording"),
    [("*=everything", "of all channels"), ("", "unsigned, since HATIF_WEBHOOK_SECRETS is empty")],
)
def test_how_it_is_signed_follows_the_secrets(
    receiver: tuple[Path, str], secrets: str, wording: str
) -> None:
    home, port = receiver
    command: list[str | Path] = [HATIF, "collect", "--test", "--host", "0.0.0.0", "--port", port]
    assert wording in _run(home, command, HATIF_WEBHOOK_SECRETS=secrets).stdout


def test_without_a_receiver_one_line_says_how_to_start_it(tmp_path: Path) -> None:
    ended = _run(tmp_path, [HATIF, "collect", "--test", "--port", "1"])
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no receiver answers on http://127.0.0.1:1/webhooks/")
    assert ended.stderr.count("\n") == 1
