"""The files of `deploy/` as data, and whether a command line in them would be accepted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli

from pipelines.cli import main

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
#: The program of each command, as click knows it. Celery's is looked at by `make test-cluster`.
PROGRAMS = {
    "hatif": main,
    "dagster": create_dagster_cli(),
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": create_dagster_webserver_cli(),
}


def loaded(name: str) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def manifests() -> list[dict[str, Any]]:
    """Return the objects of kubernetes.yaml."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


def containers() -> Iterator[dict[str, Any]]:
    """Yield the containers of kubernetes.yaml."""
    for one in manifests():
        if one["kind"] == "Deployment":
            yield from one["spec"]["template"]["spec"]["containers"]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield every command line in `deploy/`, with the place where it stands."""
    for name, service in loaded("compose.yaml")["services"].items():
        yield f"compose {name}", list(map(str, service.get("command", [])))
        first, *test = service.get("healthcheck", {}).get("test", [""])
        yield f"compose {name} health", shlex.split(test[0]) if first == "CMD-SHELL" else test
    for one in containers():
        yield f"kubernetes {one['name']}", one["command"]
    for deployment in loaded("helm-values.yaml")["dagster-user-deployments"]["deployments"]:
        served = ["--host", "0.0.0.0", "--port", str(deployment["port"])]
        line = ["dagster", "api", "grpc", *served, *deployment["dagsterApiGrpcArgs"]]
        yield f"helm {deployment['name']}", line
    for unit in UNITS:
        (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        program, *rest = shlex.split(line.replace("%%", "%"))
        yield unit.name, [program.removeprefix("/opt/hatif/.venv/bin/"), *rest]
    (line,) = re.findall(r"^CMD (\[.+\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    yield "Dockerfile", yaml.safe_load(line)


def parse(command: click.Command, line: list[str], program: Any = None) -> None:
    """Read a command line as its program would, down to the last sub-command, and run nothing.

    Args:
        command: the program.
        line: with its name.
        program: what it hands to its sub-commands.

    Raises:
        click.UsageError: no such command or option, or a value that it refuses.
    """
    context = command.make_context(line[0], line[1:], obj=program)
    while isinstance(context.command, click.Group):
        # What a group leaves over is the sub-command with its own arguments.
        left = [*context._protected_args, *context.args]
        name, below, rest = context.command.resolve_command(context, left)
        assert below is not None
        context = below.make_context(name, rest, parent=context)


def variables(name: str) -> set[str]:
    """Return the variables of the environment that a file sets or names for its programs."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return set(re.findall(r"\b((?:HATIF|DAGSTER|CELERY|AWS|PG)_?[A-Z_]*[A-Z])\b", text))
