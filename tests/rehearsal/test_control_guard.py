"""No web page reads or writes through the control endpoints; files stay in their folder."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from pipelines.cli import main
from rehearsal import PortUnavailable, RehearsalServer, WorldSpec

TINY = WorldSpec(contacts=5, conversations=5, events=10)
PATHS = [
    *(("GET", path) for path in ("/info", "/truth", "/truth/contacts", "/requests", "/webhooks")),
    *(("POST", path) for path in ("/quirks", "/faults", "/advance", "/revoke", "/prerender")),
    *(("POST", path) for path in ("/actions/add_contacts?n=1", "/webhooks/files", "/webhooks/url")),
    ("DELETE", "/faults"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("webhooks")


@pytest.fixture(scope="module")
def http(folder):
    with (
        RehearsalServer(TINY, webhook_dir=folder) as server,
        httpx.Client(base_url=f"{server.url}/_rehearsal") as http,
    ):
        yield http


def refusal(http, method, path, **headers):
    before = http.get("/info").json()["now"]
    answer = http.request(method, path, headers=headers)
    assert "client_secret" not in answer.text
    assert http.get("/info").json()["now"] == before
    assert "access-control-allow-origin" not in answer.headers
    return answer.status_code


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_no_page_reaches_an_endpoint(http, method, path):
    """By another origin, by a name that was pointed here, and as the browser tells of itself."""
    for headers in (
        {"Origin": "https://evil.example"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert refusal(http, method, path, **headers) == 403, headers


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("127.0.0.1@evil.example", "127.0.0.2", "0.0.0.0", "[::]", "localhost:evil", "[::1].x"),
        *("2130706433", "localhost, evil.example", "127.0.0.1:80:80"),
    ],
)
def test_only_loopback_names_are_a_host(http, host):
    assert refusal(http, "GET", "/info", Host=host) in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:9", "[::1]"])
def test_every_loopback_name_is_a_host(http, host):
    assert http.get("/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["null", "http://127.0.0.1:1", "https://127.0.0.1", "http://localhost", "file://"]
)
def test_another_port_or_scheme_is_another_origin(http, origin):
    assert refusal(http, "POST", "/advance", Origin=origin) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_the_browser_tells_of_another_site(http, site):
    assert refusal(http, "GET", "/info", **{"Sec-Fetch-Site": site}) == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_what_a_form_can_send_is_no_control_request(http, kind):
    body = b'{"hours": 1}'
    answer = http.post("/advance", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert http.post("/advance", content=body).status_code == 415
    assert http.post("/revoke", headers={"Content-Type": kind}).status_code == 415


def test_a_preflight_request_is_granted_nothing(http):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    answer = http.options("/faults", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_of_the_server_itself_may_ask(http):
    origin = str(http.base_url).removesuffix("/_rehearsal/")
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert http.get("/info", headers=headers).status_code == 200


def test_files_are_written_only_below_the_folder_of_the_command_line(http, folder, tmp_path):
    (folder / "link").symlink_to(tmp_path)
    for directory in (str(tmp_path), "/", str(folder / ".." / "x"), str(folder / "link"), "x"):
        answer = http.post("/webhooks/files", json={"directory": directory})
        assert answer.status_code == 403
        assert "--webhook-dir" in answer.json()["error"]
    assert not list(tmp_path.iterdir())
    written = http.post("/webhooks/files", json={"directory": str(folder / "new")}).json()
    assert all(Path(name).is_relative_to(folder / "new") for name in written["files"])


def test_without_such_a_folder_no_file_is_written(tmp_path):
    with RehearsalServer(TINY) as server:
        body = {"directory": str(tmp_path)}
        answer = httpx.post(f"{server.url}/_rehearsal/webhooks/files", json=body)
        assert answer.status_code == 403
    assert not list(tmp_path.iterdir())


@pytest.fixture
def taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_cannot_be_had_is_named(taken):
    with pytest.raises(PortUnavailable, match=rf"127\.0\.0\.1:{taken} .*choose another --port"):
        RehearsalServer(TINY, port=taken)
    for port in (70_000, -1):
        with pytest.raises(PortUnavailable, match="a port is at most 65535"):
            RehearsalServer(TINY, port=port)


def test_a_taken_port_ends_both_commands_with_one_line(taken):
    command = [sys.executable, "-m", "rehearsal", "--port", str(taken)]
    for arguments in (command, [*command[:-1], "70000"], [*command, "--conversations", "9999"]):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    ended = CliRunner().invoke(main, ["rehearse", "--port", str(taken)])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: cannot listen on")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--port", port] for port in ("70000", "-1", "http")),
        *(["--contacts", "0"], ["--conversations", "-1"], ["--events", "-5"], ["--page-cap", "0"]),
        *(["--faults", "1.5"], ["--contacts", "1", "--conversations", "9"]),
    ],
)
def test_a_world_that_cannot_be_is_a_usage_error(arguments):
    ended = CliRunner().invoke(main, ["rehearse", *arguments])
    assert ended.exit_code == 2
    assert "Error: " in ended.stderr
