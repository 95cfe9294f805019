"""The receiver: what it has answered 200 is on disk, whatever happens to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.comparison import stored
from tests.pipelines.conftest import HATIF, environment
from tests.warehouse.webhooks.conftest import CHANNEL, Home, line


@contextmanager
def _receiver(
    directory: Path, home: Path, **more: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    variables = environment(None, HATIF_HOME=str(home), HATIF_WEBHOOK_DIR=str(directory), **more)
    process = subprocess.Popen(
        [HATIF, "collect", "--port", "0"], env=variables, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        wording = process.stderr.readline()
        yield wording.split()[-1], process
    finally:
        process.kill()
        process.communicate()


class _Sender(threading.Thread):
    """Posts one body after the other; remembers those that were answered 200."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__()
        self._url, self._first = url, first
        self.answered: list[str] = []

    def run(self) -> None:
        with httpx.Client() as client:
            for number in range(self._first, self._first + 100_000):
                body = line(number)
                try:
                    if client.post(self._url, content=body).status_code == 200:
                        self.answered.append(body.decode())
                except httpx.TransportError:
                    return


def test_every_body_answered_200_is_in_the_warehouse_once_after_ten_kills(home: Home) -> None:
    dice = random.Random(2)
    answered: list[str] = []
    first = 0
    for _ in range(5):  # two processes each time: ten kills
        with (
            _receiver(home.directory, home.settings.home) as (one, p1),
            _receiver(home.directory, home.settings.home) as (other, p2),
        ):
            senders = []
            for url in (one, one, other, other):
                senders.append(_Sender(url, first))
                first += 100_000
            for sender in senders:
                sender.start()
            time.sleep(dice.uniform(0.2, 0.8))
            p1.kill()
            time.sleep(dice.uniform(0, 0.2))
            p2.kill()
            for sender in senders:
                sender.join()
                answered += sender.answered
    home.ingest()

    assert len(answered) > 200
    bodies = [row["body"] for row in stored(home.settings, "SELECT body FROM raw.webhook_events")]
    assert len(bodies) == len(set(bodies))
    assert set(answered) <= set(bodies)
    assert home.rejects() == []


def test_it_refuses_only_what_it_must_and_stops_gracefully(home: Home) -> None:
    body = line(1)
    good = hmac.new(b"right", body, hashlib.sha256).hexdigest()
    with _receiver(
        home.directory, home.settings.home, HATIF_WEBHOOK_SECRETS=f"{CHANNEL}=right"
    ) as (url, process):
        post = lambda content, **headers: httpx.post(url, content=content, headers=headers)  # noqa: E731
        assert post(body).status_code == 200  # which channel's it is, the pipeline judges
        assert post(body, **{"X-Voxa-Signature": good}).status_code == 200
        assert post(body, **{"X-Voxa-Signature": "00"}).status_code == 200
        assert post(b"").status_code == 200
        assert post(b"\xff\xfe no text").status_code == 200
        assert post(b"x" * (1 << 20)).status_code == 200
        assert post(b"x" * ((1 << 20) + 1)).status_code == 413
        assert httpx.get(url).status_code == 405
        assert httpx.get(url.replace("/webhooks/hatif", "/healthz")).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    names = [path.name for path in home.directory.iterdir()]
    assert len(names) == 1
    assert not names[0].startswith("open-")
    kept = json.loads(next(home.directory.iterdir()).read_text().splitlines()[0])
    assert kept["body"] == body.decode()


def test_without_a_signature_nothing_passes_where_all_must_sign(home: Home) -> None:
    with _receiver(home.directory, home.settings.home, HATIF_WEBHOOK_SECRETS="*=right") as (url, _):
        assert httpx.post(url, content=line(1)).status_code == 401
        good = hmac.new(b"right", line(1), hashlib.sha256).hexdigest()
        signed = httpx.post(url, content=line(1), headers={"x-voxa-signature": good})
        assert signed.status_code == 200


def test_a_disk_that_refuses_is_503_and_unhealthy(home: Home, tmp_path: Path) -> None:
    with _receiver(tmp_path / "folder", home.settings.home) as (url, _):
        (tmp_path / "folder").rmdir()
        (tmp_path / "folder").touch()
        refused = httpx.post(url, content=line(1))
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        health = url.replace("/webhooks/hatif", "/healthz")
        assert httpx.get(health).status_code == 503
