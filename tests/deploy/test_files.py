"""What the files of `deploy/` name is there, and they agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema

from tests.deploy.files import DEPLOY, ROOT, UNITS, containers, loaded, manifests
from warehouse.settings.environment import Settings
from warehouse.settings.variables import Given
from warehouse.settings.workspaces import Workspaces

COMPOSE = loaded("compose.yaml")
VALUES = loaded("helm-values.yaml")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
#: What Dagster's chart 1.13 calls its parts; a key that it does not know is ignored in silence.
CHART = {
    "global", "generatePostgresqlPasswordSecret", "postgresql", "dagsterWebserver", "dagsterDaemon",
    "dagster-user-deployments", "runLauncher", "computeLogManager", "telemetry", "retention",
    "additionalInstanceConfig",
}  # fmt: skip


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspaces:
    """The workspaces of deploy/, with secrets and variables as compose.yaml gives them."""
    text = (DEPLOY / "workspaces.toml").read_text(encoding="utf-8")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in COMPOSE["secrets"]:
        (secrets / name).write_text("a secret of a test")
    file = tmp_path / "workspaces.toml"
    file.write_text(text.replace("/run/secrets", str(secrets)))
    for name, value in COMPOSE["services"]["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HATIF_WORKSPACES", str(file))
    monkeypatch.setenv("HATIF_HOME", str(tmp_path / "data"))
    read = Workspaces.of(Given.read(Settings.model_fields, None))
    assert read is not None
    return read


def test_the_workspaces_load_with_what_the_containers_have(found: Workspaces) -> None:
    assert found.mistakes() == {}
    one, two = found.sound()
    assert one.lake != two.lake
    assert one.webhook_location.startswith("/var/lib/hatif/webhooks/")


def test_each_workspace_has_a_database_a_secret_and_no_more(found: Workspaces) -> None:
    databases = set(re.findall(r"CREATE DATABASE (\w+);", (DEPLOY / "databases.sql").read_text()))
    named = {re.findall(r"dbname=(\w+)", str(one.catalog))[0] for one in found.sound()}
    dagster = COMPOSE["services"]["worker"]["environment"]["DAGSTER_POSTGRES_DB"]
    assert databases == named | {dagster}
    assert set(COMPOSE["secrets"]) == {*found.names, "page_password"}


def test_every_file_that_compose_mounts_is_there() -> None:
    mounted = {
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
    }
    files = {one for one in mounted if one.startswith(".")}
    assert len(files) > 3
    assert [one for one in files if not (DEPLOY / one).is_file()] == []
    assert {one for one in mounted - files if one not in COMPOSE["volumes"]} == set()


def test_every_password_that_compose_needs_is_in_the_example() -> None:
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", (DEPLOY / "compose.yaml").read_text()))
    lines = (DEPLOY / "env.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert set(given) == needed
    assert {name: value for name, value in given.items() if value} == {"AWS_ACCESS_KEY_ID": "hatif"}


def test_passwords_and_secrets_of_a_deployment_are_kept_out_of_git_and_of_the_image() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "/deploy/secrets/"} <= set(ignored)
    context = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in context if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE))
    assert {f"!{one}" for line in copied for one in line.split()} == set(rules[1:-1])
    assert rules[-1] == "**/__pycache__"


def test_the_image_holds_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [one for one in packages if f"COPY {one} {one}\n" not in DOCKERFILE] == []


def test_the_image_runs_as_a_user_without_rights() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    for pod in (VALUES["dagsterWebserver"], VALUES["dagsterDaemon"]):
        assert pod["podSecurityContext"]["runAsUser"] == 10001
    for name, service in COMPOSE["services"].items():
        if service["image"].startswith("hatif-warehouse"):
            assert service["cap_drop"] == ["ALL"], name


def requirements(name: str) -> dict[str, set[str]]:
    """Return the versions in a lock file, by package."""
    found: dict[str, set[str]] = {}
    text = (ROOT / name).read_text(encoding="utf-8")
    for package, version in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def test_the_image_has_the_versions_that_the_tests_run_with() -> None:
    image = requirements("deploy/requirements.lock")
    tested = requirements("requirements-cluster.lock") | requirements("requirements.lock")
    both = image.keys() & tested.keys()
    assert len(both) > 70
    assert {one for one in both if not image[one] <= tested[one]} == set()


def test_every_package_of_the_image_has_a_hash_and_none_is_missing() -> None:
    text = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert [one for one in entries if re.match("[a-z]", one) and "--hash=sha256:" not in one] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["cluster"], *extras["machines"]]
    names = {re.split(r"[\[<>=~ ]", one)[0] for one in wanted}
    assert names - requirements("deploy/requirements.lock").keys() == set()


def test_dagsters_chart_knows_every_key() -> None:
    assert set(VALUES) <= CHART


def instance_of_the_chart() -> dict[str, Any]:
    """Return what the chart writes from our values into dagster.yaml, as far as it is ours."""
    sensor, schedule = (
        {"purge_after_days": VALUES["retention"][one]["purgeAfterDays"]}
        for one in ("sensor", "schedule")
    )
    monitoring = VALUES["dagsterDaemon"]["runMonitoring"]
    coordinator = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    return {
        **VALUES["additionalInstanceConfig"],
        "telemetry": VALUES["telemetry"],
        "retention": {"sensor": sensor, "schedule": schedule},
        "run_monitoring": {
            "enabled": monitoring["enabled"],
            "start_timeout_seconds": monitoring["startTimeoutSeconds"],
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
        },
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {
                "max_concurrent_runs": coordinator["maxConcurrentRuns"],
                "tag_concurrency_limits": coordinator["tagConcurrencyLimits"],
            },
        },
    }


def test_a_workspace_has_as_many_runs_on_kubernetes_as_elsewhere() -> None:
    limits = loaded("dagster.yaml")["run_queue"]["tag_concurrency_limits"]
    coordinator = instance_of_the_chart()["run_coordinator"]["config"]
    assert coordinator["tag_concurrency_limits"] == limits


def test_dagster_accepts_the_instance_of_the_chart() -> None:
    result = process_config(dagster_instance_config_schema(), instance_of_the_chart())
    assert result.errors in (None, [])


def test_the_chart_mounts_what_kubernetes_yaml_makes() -> None:
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in deployment["volumes"]
        if "persistentVolumeClaim" in volume
    }
    made = {
        one["metadata"]["name"] for one in manifests() if one["kind"] == "PersistentVolumeClaim"
    }
    assert claims == made
    volumes = {volume["name"] for volume in deployment["volumes"]}
    assert {mount["name"] for mount in deployment["volumeMounts"]} == volumes
    receiver = next(one for one in containers() if one["name"] == "receiver")
    assert receiver["volumeMounts"] == deployment["volumeMounts"]


def test_the_web_server_listens_on_a_port_that_needs_no_rights() -> None:
    assert VALUES["dagsterWebserver"]["service"]["port"] > 1024


def test_every_unit_is_named_in_the_documents_and_no_other() -> None:
    text = "".join(
        (ROOT / "docs" / page).read_text(encoding="utf-8")
        for page in ("operations.md", "cluster.md")
    )
    units = {unit.name for unit in (DEPLOY / "systemd").iterdir()}
    assert set(re.findall(r"hatif-[a-z]+\.(?:service|timer)", text)) == units


def test_every_timer_has_its_service() -> None:
    timers = {one.stem for one in (DEPLOY / "systemd").glob("*.timer")}
    assert timers == {"hatif-sync", "hatif-full", "hatif-maintain"}
    assert timers <= {unit.stem for unit in UNITS}
