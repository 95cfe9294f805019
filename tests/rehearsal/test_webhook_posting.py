"""Webhooks over HTTP: the vendor's retries, on a clock that a test can move."""

import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from rehearsal import RehearsalServer, WorldSpec
from tests.rehearsal.postbag import Found, is_signed_by

HOUR = timedelta(hours=1)
QUIET = dict.fromkeys(("contacts", "contact_edits", "silent_edits", "deleted_contacts"), 0)


class Receiver:
    """A receiver that keeps what it gets and answers as configured."""

    def __init__(self):
        self.got = []
        self.answer = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Found(body, datetime.now(UTC), headers, Path()))
                self.send_response(receiver.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/webhooks/hatif"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self):
        """Harmless when it has stopped."""
        if self.thread.is_alive():
            self.http.shutdown()
            self.thread.join()
        self.http.server_close()

    def times(self):
        counts = defaultdict(int)
        for one in self.got:
            counts[one.id] += 1
        return counts


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def server():
    server = RehearsalServer(WorldSpec(contacts=40, conversations=50, events=600))
    yield server
    server.stop()


def endings(server):
    return {posted.ending for posted in server.posted_webhooks()}


def test_what_falls_due_is_posted_as_time_moves_on_and_not_before(server, receiver):
    server.post_webhooks(receiver.url, late=0, reordered=0)
    assert receiver.got == []
    server.advance(timedelta(days=1), messages=30, **QUIET)
    assert len(receiver.got) == len(server.posted_webhooks()) > 50
    assert endings(server) == {"delivered"}
    assert receiver.times().keys() == {p.delivery_id for p in server.posted_webhooks()}


def test_bodies_are_those_of_files_and_signed_alike(server, receiver, tmp_path):
    since = server.now - timedelta(days=40)
    server.post_webhooks(receiver.url, since, late=0)
    server.advance(timedelta(0), messages=0, status_changes=0, **QUIET)
    written = server.write_webhooks(tmp_path, since)
    assert {r.delivery_id: r.is_signed for r in written.receipts} == {
        one.id: is_signed_by(one, sum(server.webhook_secrets.values(), ())) for one in receiver.got
    }


def test_a_server_error_is_retried_after_2_4_8_16_and_32_minutes_and_no_more(server, receiver):
    receiver.answer = 503
    server.post_webhooks(receiver.url, late=0, reordered=0)
    server.advance(timedelta(minutes=1), messages=3, status_changes=0, **QUIET)
    assert endings(server) == {"waiting"}
    server.advance(timedelta(days=4), messages=0, status_changes=0, **QUIET)
    assert endings(server) == {"given_up"}
    for posted in server.posted_webhooks():
        waits = [after.at - before.at for before, after in pairwise(posted.attempts)]
        assert waits == [timedelta(minutes=m) for m in (2, 4, 8, 16, 32)]
        assert {attempt.answer for attempt in posted.attempts} == {503}
    assert set(receiver.times().values()) == {6}, "byte for byte the same"
    assert not any(row["in_webhooks"] for row in server.truth("messages"))


def test_a_client_error_is_final_and_loses_the_event(server, receiver):
    receiver.answer = 400
    server.post_webhooks(receiver.url, late=0)
    server.advance(HOUR, messages=5, **QUIET)
    receiver.answer = 200
    server.advance(timedelta(minutes=70), messages=0, status_changes=0, **QUIET)
    refused = {p.delivery_id for p in server.posted_webhooks() if p.ending == "refused"}
    assert refused
    assert all(receiver.times()[key] == 1 for key in refused)


def test_an_outage_shorter_than_an_hour_loses_nothing(server, receiver):
    receiver.answer = 500
    server.post_webhooks(receiver.url, late=0)
    server.advance(timedelta(minutes=20), messages=10, **QUIET)
    receiver.answer = 200
    server.advance(timedelta(days=4), messages=0, status_changes=0, **QUIET)
    assert endings(server) == {"delivered"}
    assert max(len(posted.attempts) for posted in server.posted_webhooks()) > 1


def test_nobody_there_is_a_failure_like_any_other(server, receiver):
    receiver.stop()
    server.post_webhooks(receiver.url, late=0)
    server.advance(HOUR, messages=1, status_changes=0, **QUIET)
    answers = {a.answer for posted in server.posted_webhooks() for a in posted.attempts}
    assert answers == {"ConnectError"}


def test_losses_and_repeats_are_told_apart(server, receiver):
    server.post_webhooks(receiver.url, server.now - timedelta(days=60), lost=0.2, repeated=0.3)
    server.advance(timedelta(days=1), messages=0, status_changes=0, **QUIET)
    lost = {p.delivery_id for p in server.posted_webhooks() if p.ending == "lost"}
    assert lost
    assert not lost & receiver.times().keys()
    assert {1, 2} == set(receiver.times().values())
    assert {one.id for one in server.sending.ledger.of("message")} <= receiver.times().keys()


def test_what_was_accepted_counts_as_received(server, receiver):
    server.post_webhooks(receiver.url, late=0)
    new = server.advance(timedelta(hours=6), messages=40, **QUIET)["messages"]
    rows = {row["event_id"]: row for row in server.truth("messages")}
    assert any(rows[key]["in_webhooks"] for key in new if key in rows)


@pytest.fixture
def control(tmp_path):
    spec = WorldSpec(contacts=20, conversations=20, events=200)
    with (
        RehearsalServer(spec, webhook_dir=tmp_path) as server,
        httpx.Client(base_url=f"{server.url}/_rehearsal", timeout=20) as control,
    ):
        yield control


def test_the_control_endpoints_post_write_and_report(control, receiver, tmp_path):
    control.post("/webhooks/url", json={"url": receiver.url, "late": 0, "reordered": 0})
    control.post("/advance", json={"hours": 5, "messages": 10})
    assert {one["ending"] for one in control.get("/webhooks").json()} == {"delivered"}
    body = {"directory": str(tmp_path), "hours": 24, "lost": 0.5, "formats": ["ndjson"]}
    written = control.post("/webhooks/files", json=body).json()
    assert written["lost"]
    assert written["files"][0].startswith(str(tmp_path))
    assert control.get("/truth/messages").json()
    assert control.get("/billing").json()
    assert control.get("/info").json()["webhook_secrets"]
    nonsense = control.post("/webhooks/files", json={"formats": ["xml"]})
    assert nonsense.status_code == 400
