"""Ticks for several workspaces: one that is mistaken, down or slow holds up no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._utils.tags import TagConcurrencyLimitsCounter

from assets import outages, processes
from assets.workspaces import PARTITION, TAG
from hatif.errors import HatifError, HomeError
from pipelines import after_sync, jobs
from pipelines.side_by_side import SideBySide
from tests.pipelines.conftest import ROOT
from tests.pipelines.several.conftest import NAMES, SECRET
from warehouse.lake.locks import exclusive


def _schedule(of_several: dg.Definitions, instance: dg.DagsterInstance, job: str) -> Any:
    schedule = of_several.resolve_schedule_def(f"{job}_schedule")
    return schedule(dg.build_schedule_context(instance))


def _sensor(
    of_several: dg.Definitions, instance: dg.DagsterInstance, name: str, cursor: str | None = None
) -> tuple[Any, Any]:
    """One evaluation of a sensor: what it returns, and its cursor."""
    context = dg.build_sensor_context(instance, cursor=cursor)
    found = of_several.resolve_sensor_def(name)(context)
    return found, json.loads(context.cursor or "{}")


def _ended(
    instance: dg.DagsterInstance,
    workspace: str,
    job: str = jobs.hot_sync.name,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
    **tags: str,
) -> str:
    """Keep a run of a workspace that has ended so."""
    calls = outages.CALLS_SERVICE if job == jobs.hot_sync.name else {}
    run = dg.DagsterRun(
        job_name=job, status=status, tags={PARTITION: workspace, TAG: workspace, **calls, **tags}
    )
    instance.add_run(run)
    return run.run_id


def _down(instance: dg.DagsterInstance, workspace: str) -> None:
    tags = {"hatif/outage": "Unreachable", "hatif/outage_since": "2026-11-01T00:00:00+00:00"}
    _ended(instance, workspace, status=dg.DagsterRunStatus.FAILURE, **tags)


def test_a_tick_requests_a_run_of_each_sound_workspace(
    of_several: dg.Definitions, instance: dg.DagsterInstance, data: Path
) -> None:
    requests = _schedule(of_several, instance, "hot_sync")
    assert [(one.partition_key, one.run_key) for one in requests] == [
        ("riyadh", "riyadh"),
        ("jeddah", "jeddah"),
    ]
    assert [one.tags[TAG] for one in requests] == ["riyadh", "jeddah"]


def test_a_workspace_that_is_down_or_being_synced_is_left_alone_and_the_others_are_not(
    of_several: dg.Definitions, instance: dg.DagsterInstance, data: Path
) -> None:
    _down(instance, "riyadh")
    assert [one.partition_key for one in _schedule(of_several, instance, "hot_sync")] == ["jeddah"]
    with exclusive(data / "jeddah" / "api.lock", "sync"):
        skipped = _schedule(of_several, instance, "contacts_sync").skip_message
    assert "riyadh: outage since 2026-11-01" in skipped
    assert "jeddah: another sync is under way: sync" in skipped
    assert "mistaken.timezone: is not the name of a time zone" in skipped
    assert SECRET not in skipped
    assert [one.partition_key for one in _schedule(of_several, instance, "maintenance")] == [
        "riyadh",
        "jeddah",
    ]


def test_a_file_that_changed_meanwhile_is_read_by_each_tick(
    of_several: dg.Definitions,
    instance: dg.DagsterInstance,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = data.parent / "all.toml"
    text = file.read_text().replace("[riyadh]", "[dammam]")
    file.write_text(text + '[jeddah.webhook_secrets]\n"*" = { env = "NO_SUCH_THING" }\n')
    skipped = _schedule(of_several, instance, "hot_sync").skip_message
    assert "riyadh: is not in the file any more" in skipped
    assert "dammam: is new in the file; reload the definitions" in skipped
    assert "NO_SUCH_THING is not set" in skipped
    file.write_text("[[")
    assert "is not TOML" in _schedule(of_several, instance, "hot_sync").skip_message
    monkeypatch.delenv("HATIF_WORKSPACES")
    for name in ("webhook_files", "models_after_sync", "service_outage"):
        found, _ = _sensor(of_several, instance, name)
        assert "HATIF_WORKSPACES is not set any more" in found.skip_message


def test_of_looks_at_several_one_that_fails_or_hangs_is_named_and_the_others_answer() -> None:
    goes_on = threading.Event()
    looks = SideBySide[str](patience=0.2)

    def look(name: str) -> str:
        if name == "hangs":
            goes_on.wait(60)
        if name == "fails":
            raise HomeError("no home")
        if name == "faulty":
            raise ValueError(name * 2)
        return name

    found = looks.call(["hangs", "fails", "faulty", "fine"], look)
    assert (found["fine"].value, found["fails"].error) == ("fine", "no home")
    assert found["faulty"].error == "ValueError, a fault of this program"
    assert "faultyfaulty" not in str(found["faulty"].fault)
    assert __file__ in str(found["faulty"].fault)
    assert "does not answer" in str(found["hangs"].error)
    goes_on.set()
    assert looks.call(["hangs"], look)["hangs"].value == "hangs"


def test_many_that_hang_hold_the_others_up_for_one_tick_at_most() -> None:
    goes_on = threading.Event()
    looks = SideBySide[str](patience=0.1)
    names = [f"hangs{number}" for number in range(20)]

    def look(name: str) -> str:
        if name.startswith("hangs"):
            goes_on.wait(60)
        return name

    asked = [looks.call([*names, "fine"], look)["fine"].value for _ in range(4)]
    goes_on.set()
    assert asked[-1] == "fine"


def test_what_follows_a_sync_is_computed_for_its_workspace_alone(
    of_several: dg.Definitions,
    instance: dg.DagsterInstance,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "models_after_sync"
    assert "no sync has ended" not in str(_sensor(of_several, instance, name)[0].skip_message)
    first, _ = _ended(instance, "riyadh"), _ended(instance, "mistaken")
    found, cursor = _sensor(of_several, instance, name)
    assert [(one.partition_key, one.run_key) for one in found] == [("riyadh", f"after {first}")]
    assert cursor == {"riyadh": first}

    broken = _ended(instance, "jeddah")
    instance.delete_run(first)  # both would have ended in the same second
    second = _ended(instance, "riyadh", status=dg.DagsterRunStatus.FAILURE)
    _ended(instance, "riyadh", jobs.models.name)

    def look(settings: Any) -> str | None:
        if settings.workspace == "jeddah":
            raise HomeError("the home is damaged")
        return None

    with monkeypatch.context() as during:
        during.setattr(after_sync, "_nothing_to_compute", look)
        found, cursor = _sensor(of_several, instance, name, json.dumps(cursor))
    assert [one.partition_key for one in found] == ["riyadh"]
    assert cursor == {"riyadh": second}  # so jeddah is looked at again
    found, cursor = _sensor(of_several, instance, name, json.dumps(cursor))
    assert [one.run_key for one in found] == [f"after {broken}"]
    found, _ = _sensor(of_several, instance, name, json.dumps(cursor))
    assert isinstance(found, dg.SkipReason)


def test_the_end_of_an_outage_is_found_for_its_workspace_while_another_lasts(
    of_several: dg.Definitions,
    instance: dg.DagsterInstance,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in NAMES:
        _down(instance, name)

    def look(settings: Any) -> HatifError | None:
        return HatifError("no answer") if settings.workspace == "jeddah" else None

    monkeypatch.setattr("pipelines.outages.first_obstacle", look)
    found, cursor = _sensor(of_several, instance, "service_outage")
    assert [one.partition_key for one in found] == ["riyadh"]
    assert "hatif/after_outage_since" in found[0].tags
    assert set(cursor) == {"riyadh", "jeddah"}
    found, _ = _sensor(of_several, instance, "service_outage", json.dumps(cursor))
    assert "jeddah: outage since 2026-11-01 00:00 UTC" in found.skip_message  # not due yet
    assert "mistaken: " in found.skip_message


def test_a_run_whose_process_is_gone_does_not_hold_up_the_next_of_its_workspace(
    of_several: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host, _, began, _ = processes.tag("x")[processes.TAG].split()
        made = {
            "gone": f"{host} {process.pid} 1",  # another process has its number by now
            "elsewhere": f"not-{host} {process.pid} 1",
            "here": f"{host} {os.getpid()} {began}",
            "launched again": f"{host} {process.pid} 1",
        }
        started = dg.DagsterRunStatus.STARTED
        for name, tag in made.items():
            run = dg.DagsterRun(job_name="x", status=started)
            of = "another-run" if name == "launched again" else run.run_id
            instance.add_run(run.with_tags({processes.TAG: f"{tag} {of}", TAG: name}))
        found, _ = _sensor(of_several, instance, "lost_runs")
    assert found.skip_message == "runs whose process was gone: 1"
    assert {run.tags[TAG]: run.status.value for run in instance.get_runs()} == {
        "gone": "FAILURE",
        "elsewhere": "STARTED",
        "here": "STARTED",
        "launched again": "STARTED",
    }


def _tagged(name: str) -> dg.DagsterRun:
    return dg.DagsterRun(job_name="x", tags={PARTITION: name, TAG: name})


def test_of_runs_that_wait_one_of_each_workspace_begins() -> None:
    shipped = [
        yaml.safe_load((ROOT / "pipelines" / name).read_text(encoding="utf-8"))
        for name in ("dagster.yaml", "dagster.workspaces.yaml")
    ]
    for one in shipped:
        limits = one["concurrency"]["runs"]["tag_concurrency_limits"]
        counter = TagConcurrencyLimitsCounter(limits, [_tagged("riyadh")])
        assert counter.is_blocked(_tagged("riyadh"))
        assert not counter.is_blocked(_tagged("jeddah"))
        by_hand = dg.DagsterRun(job_name="x", tags={PARTITION: "riyadh"})
        assert counter.is_blocked(by_hand)
        assert not counter.is_blocked(dg.DagsterRun(job_name="x"))
    most = [one["concurrency"]["runs"].pop("max_concurrent_runs") for one in shipped]
    assert most == [2, 8]
    assert shipped[0] == shipped[1]
