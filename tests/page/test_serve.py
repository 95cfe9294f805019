"""``hatif page`` as a process: it announces its address, serves, and ends on a signal."""

from __future__ import annotations

import signal
import socket
import subprocess
import urllib.request

from tests.page.conftest import World
from tests.pipelines.conftest import HATIF, environment


def test_it_serves_until_a_signal(world: World) -> None:
    command = [str(HATIF), "page", "--port", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment(world.settings)
    ) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        assert line.startswith("the page is on http://127.0.0.1:")
        with urllib.request.urlopen(f"{line.split()[-1]}static/main.js", timeout=60) as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert server.stderr.read() == ""


def test_a_port_that_is_taken_is_named(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [HATIF, "page", "--port", port],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(world.settings),
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
