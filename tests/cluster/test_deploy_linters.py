"""Files of `deploy/` that nothing here can run, as their tools' linters see them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.celery import celery

from tests.deploy.files import DEPLOY, ROOT, command_lines, parse

#: Where `make test-cluster` puts the linters.
PROGRAMS = ROOT / ".cluster" / "bin"


def run(*line: str | Path) -> str:
    done = subprocess.run([*line], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hadolint_accepts_the_dockerfile() -> None:
    run(PROGRAMS / "hadolint", DEPLOY / "Dockerfile")


def test_the_compose_file_is_one_by_the_specification() -> None:
    schema = "vendor.compose-spec"
    check = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema)
    run(*check, DEPLOY / "compose.yaml")


def test_kubernetes_knows_every_field() -> None:
    validate = (sys.executable, "-m", "kubernetes_validate", "--strict")
    shown = run(*validate, DEPLOY / "kubernetes.yaml")
    assert shown.count("passed") == 5


def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    # With the programs of this checkout; Celery's is not in its environment.
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8")
        program = str(PROGRAMS / "celery")
        text = text.replace("/opt/hatif/.venv/bin/celery", program)
        (tmp_path / unit.name).write_text(text.replace("/opt/hatif/.venv", str(ROOT / ".venv")))
    assert shutil.which("systemd-analyze"), "install Debian's systemd"
    assert run("systemd-analyze", "verify", *sorted(tmp_path.iterdir())) == ""


@pytest.mark.parametrize(
    "line", [line for _, line in command_lines() if line and line[0] == "celery"], ids=" ".join
)
def test_celery_accepts_its_commands(line: list[str]) -> None:
    assert line[1:3] == ["--app", "pipelines.celery_app"]
    parse(celery, line, CLIContext(app=Celery(), no_color=True, workdir="."))
