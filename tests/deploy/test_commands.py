"""What `deploy/` starts exists, is read as written, and is given variables that mean something."""

from __future__ import annotations

import re

import click
import pytest

from hatif import __version__
from tests.deploy.files import (
    DEPLOY,
    PROGRAMS,
    ROOT,
    UNITS,
    command_lines,
    containers,
    loaded,
    parse,
    variables,
)
from warehouse.settings.environment import Settings

OURS = [(place, line) for place, line in command_lines() if line and line[0] in PROGRAMS]
FILES = [
    "compose.yaml",
    "helm-values.yaml",
    "kubernetes.yaml",
    "Dockerfile",
    *(f"systemd/{unit.name}" for unit in UNITS),
]
#: Variables of other programs, by the page or file that says what reads them.
OTHERS = {
    "docs/cluster.md": r"\b(?:AWS|PG)_?[A-Z_]+\b",
    "deploy/dagster.yaml": r"\b(?:DAGSTER_[A-Z_]+|CELERY_BROKER_URL)\b",
    "docs/dagster.md": r"\bDAGSTER_HOME\b",
}


def test_commands_are_found_in_every_kind_of_file() -> None:
    kinds = {place.split()[0] for place, _ in OURS if not place.endswith(".service")}
    assert kinds == {"compose", "kubernetes", "helm", "Dockerfile"}
    assert len([place for place, _ in OURS if place.endswith(".service")]) == len(UNITS) - 1


@pytest.mark.parametrize(("place", "line"), OURS, ids=[place for place, _ in OURS])
def test_a_command_is_accepted_by_its_program(place: str, line: list[str]) -> None:
    # Files that are mounted there lie in deploy/.
    parse(PROGRAMS[line[0]], [one.replace("/etc/hatif/", f"{DEPLOY}/") for one in line])


@pytest.mark.parametrize(
    "line",
    [
        ["hatif", "colect"],
        ["hatif", "page", "--prot", "1"],
        ["dagster", "api", "grpc", "--prt", "1"],
    ],
)
def test_a_command_that_is_none_would_be_found(line: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(PROGRAMS[line[0]], line)


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting_or_that_of_a_tool(name: str) -> None:
    known = {f"HATIF_{field.upper()}" for field in Settings.model_fields}
    for page, pattern in OTHERS.items():
        known |= set(re.findall(pattern, (ROOT / page).read_text(encoding="utf-8")))
    assert variables(name) - known == set()


def test_what_the_dagster_instance_reads_is_set_for_everything_that_has_it() -> None:
    needed = variables("dagster.yaml") - {"DAGSTER_HOME"}
    assert "DAGSTER_POSTGRES_PASSWORD" in needed
    for name, service in loaded("compose.yaml")["services"].items():
        if name in {"code", "web", "daemon", "worker"}:
            assert needed <= set(service["environment"]), name


def test_all_files_name_the_image_of_this_version() -> None:
    values = loaded("helm-values.yaml")
    deployments = values["dagster-user-deployments"]["deployments"]
    images = {f"{one['image']['repository']}:{one['image']['tag']}" for one in deployments}
    images |= {one["image"] for one in containers()}
    services = loaded("compose.yaml")["services"].values()
    images |= {one["image"] for one in services if one["image"].startswith("hatif-warehouse")}
    images |= set(re.findall(r"--tag (\S+)", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")))
    assert {one.split("/")[-1] for one in images} == {f"hatif-warehouse:{__version__}"}
