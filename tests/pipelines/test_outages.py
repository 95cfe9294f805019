"""One outage is one failed run; the service is looked for quietly, and the end of it is noticed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import pytest

from assets import failures, outages
from hatif.errors import HatifError, ListsFailed, ServerFault, StreamError, Unreachable
from hatif.sender import RetryPolicy
from pipelines import after_sync
from pipelines import outages as looks
from pipelines.definitions import defs
from pipelines.outages import AFTER, service_outage
from pipelines.schedules import skip_reason
from pipelines.status import gather
from pipelines.status_words import next_step
from rehearsal import RehearsalServer, WorldSpec
from rehearsal.faults import Fault
from sync.obstacles import first_obstacle
from sync.outage import Outage
from tests.clocks import set_clock
from tests.conftest import IMPATIENT, settings_for, sync
from tests.pipelines.conftest import environment, stream_keys
from warehouse.lake.locks import exclusive
from warehouse.lake.schema import open_lake
from warehouse.marts.refresh import refresh
from warehouse.merge.messages import merge
from warehouse.settings.environment import Settings

_HOUR = timedelta(hours=1)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Duty:
    """A server, a synced home, the instance that keeps its runs, and a way to set settings."""

    server: RehearsalServer
    settings: Settings
    instance: dg.DagsterInstance
    monkeypatch: pytest.MonkeyPatch

    def run(self, job: str = "hot_sync", **config: Any) -> dg.DagsterRun:
        """Run a job as the daemon would, but for two streams only; the run as it is kept."""
        streams = ("timelines",) if job == "reread" else ("tags", "users")
        keys = [key for name in streams for key in stream_keys(name)]
        result = defs.resolve_job_def(job).execute_in_process(
            run_config=config or _QUIET,
            instance=self.instance,
            asset_selection=keys,
            raise_on_error=False,
        )
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run

    def look(self, cursor: str | None = None) -> tuple[Any, str | None]:
        """One evaluation of the sensor: what it returns, and its cursor."""
        context = dg.build_sensor_context(self.instance, cursor=cursor)
        return service_outage(context), context.cursor


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RehearsalServer, Settings]]:
    with RehearsalServer(WorldSpec(contacts=9, conversations=9, events=120)) as server:
        settings = settings_for(server, tmp_path_factory.mktemp("outage"))
        sync(settings)
        with open_lake(settings) as lake:
            merge(lake)
            refresh(lake, settings)
        yield server, settings


@pytest.fixture
def duty(
    world: tuple[RehearsalServer, Settings], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Duty]:
    server, settings = world
    for name, value in environment(settings).items():
        if name.startswith("HATIF_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(RetryPolicy, "longest", lambda *_: 0.0)
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Duty(server, settings, instance, monkeypatch)
    server.clear_faults()


def _dead(duty: Duty) -> None:
    duty.monkeypatch.setenv("HATIF_BASE_URL", "http://127.0.0.1:9")


def _wrong_credentials(duty: Duty) -> None:
    duty.monkeypatch.setenv("HATIF_CLIENT_SECRET", "wrong")


def _too_many(duty: Duty) -> None:
    duty.server.fault(Fault("429", every=1))


def _broken(duty: Duty) -> None:
    duty.server.fault(Fault("500", path="/v[12]/", every=1))


def _login_pages(duty: Duty) -> None:
    duty.server.fault(Fault("html", path="/v[12]/", every=1))


def _wait_for_hours(duty: Duty) -> None:
    duty.server.fault(Fault("429", path="/v[12]/", params={"retry_after": 7_200}))


def _no_home(duty: Duty) -> None:
    file = duty.settings.home / "file"
    file.touch()
    duty.monkeypatch.setenv("HATIF_HOME", str(file))


_OUTAGES = [_dead, _wrong_credentials, _too_many, _broken, _login_pages, _wait_for_hours, _no_home]


@pytest.mark.parametrize("begin", _OUTAGES, ids=lambda one: one.__name__.strip("_"))
def test_an_outage_is_one_failed_run_until_a_run_can_read_again(duty: Duty, begin: Any) -> None:
    assert skip_reason(duty.instance) is None
    with duty.monkeypatch.context() as during:
        begin(Duty(duty.server, duty.settings, duty.instance, during))

        failed = duty.run()
        reason = skip_reason(duty.instance)
        looked, cursor = duty.look()
        again, _ = duty.look(cursor)

        assert failed.status is dg.DagsterRunStatus.FAILURE
        assert reason is not None
        assert f"run {failed.run_id[:8]}" in reason
        for skipped in (looked, again):
            assert isinstance(skipped, dg.SkipReason)
            assert "next look at" in (skipped.skip_message or "")
    duty.server.clear_faults()
    (duty.settings.home / "retry_after.json").unlink(missing_ok=True)

    now = time.time()
    set_clock(duty.monkeypatch, looks, time=lambda: now + 61)
    found, cursor = duty.look(cursor)
    set_clock(duty.monkeypatch, looks, time=lambda: now)
    launched, _ = duty.look(cursor)

    assert isinstance(found, dg.RunRequest)
    assert AFTER in found.tags
    assert isinstance(launched, dg.SkipReason)  # one is enough
    assert duty.run().status is dg.DagsterRunStatus.SUCCESS
    assert skip_reason(duty.instance) is None
    assert str(duty.look(cursor)[0].skip_message) == "no outage"


def test_a_run_that_cannot_begin_says_what_follows_and_is_not_launched_again(duty: Duty) -> None:
    _dead(duty)
    run = duty.run()
    assert run.tags["dagster/max_retries"] == "0"
    log = [one.user_message for one in duty.instance.all_logs(run.run_id)]
    assert any("no further run fails of it" in message for message in log)


def test_looks_become_rarer_while_an_outage_lasts(
    duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.outages.first_obstacle", lambda _: HatifError("down"))
    _dead(duty)
    began = datetime.fromisoformat(duty.run().tags["hatif/outage_since"]).timestamp()
    waits, cursor, now = [], None, began
    for _ in range(14):
        set_clock(monkeypatch, looks, time=partial(float, now))
        _, cursor = duty.look(cursor)
        due = datetime.fromisoformat(json.loads(cursor or "")["next_look"]).timestamp()
        waits.append(due - now)
        now = due
    assert waits == sorted(waits)
    assert round(waits[0], -1) == 60
    assert round(waits[-1], -1) == 3_600


def test_a_stream_that_fails_alone_is_no_outage(duty: Duty) -> None:
    duty.server.fault(Fault("500", stream="tags", every=1))

    failed = duty.run()

    assert failed.status is dg.DagsterRunStatus.FAILURE
    assert skip_reason(duty.instance) is None


def test_a_reread_that_is_refused_neither_begins_an_outage_nor_ends_one(duty: Duty) -> None:
    refused = {"conversations": ["no-such-id"]}
    assert duty.run("reread", **refused).status is dg.DagsterRunStatus.FAILURE
    assert outages.standing(duty.instance) is None

    with duty.monkeypatch.context() as during:
        _dead(Duty(duty.server, duty.settings, duty.instance, during))
        first = duty.run()
        duty.run("reread", **refused)

        outage = outages.standing(duty.instance)
        assert outage is not None
        assert outage.since.isoformat() == first.tags["hatif/outage_since"]


def test_what_follows_is_computed_where_a_sync_left_something_to_compute(duty: Duty) -> None:
    sensor = {one.name: one for one in defs.sensors or ()}["models_after_failure"]
    run = duty.run("reread", conversations=["no-such-id"])
    event = duty.instance.all_logs(run.run_id)[-1].get_dagster_event()
    context = dg.build_run_status_sensor_context(sensor.name, event, duty.instance, run)
    assert isinstance(sensor(context), dg.SkipReason)  # type: ignore[operator]

    duty.server.advance(timedelta(hours=1), messages=5)
    sync(duty.settings)

    assert isinstance(sensor(context), dg.RunRequest)  # type: ignore[operator]


def test_nothing_new_is_computed_once_an_hour_all_the_same(
    duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert after_sync._is_long_ago(duty.instance)
    one = dg.op(name="one")(lambda: None)
    made = dg.GraphDefinition(name="models", node_defs=[one]).to_job()
    made.execute_in_process(instance=duty.instance)
    assert not after_sync._is_long_ago(duty.instance)
    now = time.time()
    set_clock(monkeypatch, after_sync, time=lambda: now + 3_601)
    assert after_sync._is_long_ago(duty.instance)


def test_status_names_the_outage_since_when_nothing_could_be_read(duty: Duty) -> None:
    with duty.monkeypatch.context() as during:
        _dead(Duty(duty.server, duty.settings, duty.instance, during))
        duty.run()
        began = gather(duty.settings)["outage"]
        duty.run()
    found = gather(duty.settings)

    assert found["outage"]["kind"] == "Unreachable"
    assert found["outage"]["since"] == began["since"] < datetime.now(UTC)
    assert f"nothing could be read since {began['since']:%Y-%m-%d %H:%M} UTC" in next_step(found)
    duty.run()
    assert gather(duty.settings)["outage"] is None


def test_a_full_disk_is_found_before_a_run_begins(
    duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sync.obstacles.tempfile.TemporaryFile", full)
    assert "the disk is full" in str(first_obstacle(Settings.load()))


def test_a_sync_under_way_is_not_disturbed_by_looking(duty: Duty) -> None:
    before = len(duty.server.requests)
    with exclusive(duty.settings.home / "api.lock", "sync"):
        assert "sync" in str(first_obstacle(Settings.load()))
    assert len(duty.server.requests) == before
    assert first_obstacle(Settings.load(), IMPATIENT) is None
    assert len(duty.server.requests) == before + 2


def _lists_failed(*, others_read: bool) -> ListsFailed:
    return ListsFailed("timelines: 3 of 3", transient=True, others_read=others_read)


_DOWN = Unreachable("GET /v1/tags", "no answer", "Check")
_FAULT = ServerFault("GET /v1/tags", "500", "Try later", 500)


@pytest.mark.parametrize(
    ("course", "is_in_doubt"),
    [
        ([_DOWN], True),
        (["read", _FAULT], True),
        (["read", _FAULT, "read"], False),
        ([_DOWN, _DOWN, "read"], False),
        ([StreamError("one stream")], False),
        ([_lists_failed(others_read=False)], True),
        ([_lists_failed(others_read=True)], False),
    ],
)
def test_an_outage_is_what_stopped_the_last_streams_of_a_run(
    course: list[Any], is_in_doubt: bool
) -> None:
    outage = Outage()
    for step in course:
        outage.note_read() if step == "read" else outage.note_failed("tags", step)
    assert (outage.error is not None) == is_in_doubt
