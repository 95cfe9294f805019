"""The same control from another process: over HTTP, and from the command line."""

import re
import signal
import subprocess
import sys

import httpx
import pytest

from tests.rehearsal.conftest import CONTACTS, SMALL


@pytest.fixture
def control(server):
    with httpx.Client(base_url=f"{server.url}/_rehearsal") as http:
        yield http


def test_info_says_how_to_get_in(server, control):
    info = control.get("/info").json()
    assert (info["url"], info["client_secret"]) == (server.url, server.client_secret)
    assert info["quirks"]["casing"] == "camel"


def test_truth_and_deletions_can_be_asked_for(server, control):
    server.delete_contacts(2)
    assert control.get("/truth").json() == server.truth_counts()
    assert len(control.get("/truth/contacts").json()) == SMALL.contacts - 2
    assert set(control.get("/deleted/contacts").json()) == server.deleted("contacts")


def test_quirks_and_faults_can_be_set_and_cleared(client, control):
    control.post("/quirks", json={"page_cap": 3})
    assert len(client.get(CONTACTS).json()["items"]) == 3
    control.post("/faults", json={"kind": "500", "stream": "contacts", "nth": 2})
    assert [client.get(CONTACTS).status_code for _ in range(2)] == [200, 500]
    control.post("/faults/rate", json={"rate": 1.0, "kinds": ["503"], "seed": 1})
    assert client.get(CONTACTS).status_code == 503
    control.delete("/faults")
    assert client.get(CONTACTS).status_code == 200


def test_time_tokens_and_actions_can_be_moved(server, client, control):
    done = control.post("/advance", json={"hours": 5, "messages": 7}).json()
    assert len(done["messages"]) == 7
    seen = [row["id"] for row in client.get(CONTACTS).json()["items"]]
    assert control.post("/actions/delete_read_contacts?n=4").json()["ids"] == seen[:4]
    assert control.post("/prerender").status_code == 200
    control.post("/revoke")
    assert client.get(CONTACTS).status_code == 401


def test_the_log_can_be_read_and_does_not_hold_the_control_requests(client, control):
    client.get(CONTACTS)
    log = control.get("/requests").json()
    assert [entry["stream"] for entry in log] == ["token", "contacts"]
    assert log[1]["status"] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/quirks", {"casing": "snake"}),
        ("/quirks", {"colour": "blue"}),
        ("/faults", {"kind": "earthquake"}),
        ("/faults", {"then": "eat_contacts"}),
        ("/faults/rate", {}),
        ("/advance", {"earthquakes": 1}),
        ("/actions/eat_contacts", {}),
        ("/advance", [1]),
    ],
)
def test_nonsense_is_a_400_that_says_so(control, path, body):
    answer = control.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_command_line_serves_until_it_is_told_to_stop():
    command = [sys.executable, "-m", "rehearsal", "--contacts", "20", "--conversations", "20"]
    command += ["--events", "50", "--casing", "pascal", "--page-cap", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        found = re.fullmatch(
            r"rehearsal server on (http://127\.0\.0\.1:\d+) client_id=(\S+) client_secret=(\S+)\n",
            line,
        )
        assert found, line
        url, client_id, client_secret = found.groups()
        form = {"grant_type": "client_credentials", "scope": "VoxaAPI"}
        form |= {"client_id": client_id, "client_secret": client_secret}
        token = httpx.post(f"{url}/connect/token", data=form).json()["access_token"]
        page = httpx.get(f"{url}{CONTACTS}", headers={"Authorization": f"Bearer {token}"}).json()
        assert (len(page["Items"]), page["TotalCount"]) == (5, 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
