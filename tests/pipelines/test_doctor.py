"""``hatif doctor``: finds what is wrong, says what to do, asks little and tells no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from pipelines.doctor import examine
from rehearsal import Quirks
from tests.conftest import Serve, settings_for
from tests.pipelines.conftest import Synced, environment
from warehouse.lake.locks import exclusive
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    return place


def doctor(*options: str, settings: Settings | None = None, **more: str) -> Result:
    return CliRunner(env=environment(settings, **more)).invoke(main, ["doctor", *options])


def facts(report: Any, question: str) -> Any:
    return next(one["facts"] for one in report.service_answers if one["question"] == question)


def status_of(report: Any, check: str) -> tuple[str, str]:
    return next((f.status, f.text) for f in report.findings if f.check == check)


def test_an_interview_only_reads_asks_little_and_tells_nothing_of_anybody(
    serve: Serve, home: Path
) -> None:
    server = serve(Quirks(date_header="machine"))

    answer = doctor("--json", settings=settings_for(server, home))

    assert answer.exit_code == 0, answer.output
    reported = json.loads(answer.stdout)
    assert reported["requests"] == len(server.requests) <= 40
    assert {request.method for request in server.requests[1:]} == {"GET"}
    kept = (home / "doctor.json").read_text()
    assert json.loads(kept) == reported
    contacts = server.truth("contacts")
    texts = [row[key] for row in contacts for key in ("name", "phone_number", "email") if row[key]]
    texts += [str(server.client_secret), *(row["name"] for row in server.truth("users"))]
    assert [text for text in texts if len(text) > 3 and text in kept] == []
    assert (home / "doctor.json").stat().st_mode & 0o777 == 0o600


def test_the_questions_are_put_once_and_again_when_asked_to(serve: Serve, home: Path) -> None:
    settings = settings_for(serve(Quirks(date_header="machine")), home)
    first = examine(settings, probe=None)
    second = examine(settings, probe=None)
    assert (first.requests > 20, second.requests) == (True, 1)
    assert second.service_answers == first.service_answers
    assert examine(settings, probe=True).requests == first.requests


@pytest.mark.parametrize(
    ("quirks", "question", "expected"),
    [
        ({}, "how times are written", ("contacts", "minutes_from_id", 0)),
        ({"v1_times": "utc_naive"}, "how times are written", ("contacts", "minutes_from_id", -180)),
        ({"casing": "pascal"}, "how times are written", ("contacts", "minutes_from_id", 0)),
        ({"history": "missing"}, "how times are written", ("contact_history", "no_answer", 404)),
        ({}, "the largest page", ("contacts", "1001", "refused (400)")),
        ({"max_page": 400}, "the largest page", ("timelines", "1000", "refused (400)")),
        ({"page_cap": 20}, "the largest page", ("contacts", "1000", "20 rows")),
        ({}, "which orders hold", ("contacts by CreationTime ASC", "kept")),
        ({"ignore_sorting": True}, "which orders hold", ("contacts by Id ASC", "not kept")),
        ({}, "which filters work", ("PhoneNumber", "no change")),
        ({"enums": "text"}, "one conversation", ("status", "str")),
        ({"statistics": "text"}, "undocumented shapes", ("property_statistics", "list of str")),
    ],
)
def test_the_live_quirks_are_found_out(
    serve: Serve, home: Path, quirks: dict[str, Any], question: str, expected: tuple[Any, ...]
) -> None:
    report = examine(settings_for(serve(Quirks(**quirks)), home), probe=True)
    found = facts(report, question)
    for key in expected[:-1]:
        found = found[key]
    assert found == expected[-1]


def test_what_is_stored_answers_questions_too(synced: Synced) -> None:
    report = examine(synced.settings, probe=False)
    assert status_of(report, "catalog")[0] == "ok"
    assert len(report.answers) == 7


def test_a_clock_that_is_wrong_is_told(serve: Serve, home: Path) -> None:
    status, says = status_of(examine(settings_for(serve(), home), probe=False), "clock")
    assert status == "warning"
    assert says.endswith("ahead of the service")


def test_wrong_credentials_are_a_failure_that_says_where_to_look(serve: Serve, home: Path) -> None:
    answer = doctor(settings=settings_for(serve(), home), HATIF_CLIENT_SECRET="wrong-secret")
    assert answer.exit_code == 1
    assert "Check HATIF_CLIENT_ID and HATIF_CLIENT_SECRET" in answer.stdout
    assert "wrong-secret" not in answer.output


def test_while_a_sync_is_under_way_the_service_is_not_asked(serve: Serve, home: Path) -> None:
    server = serve()
    with exclusive(home / "api.lock", "sync"):
        report = examine(settings_for(server, home), probe=None)
    assert status_of(report, "service")[1].startswith("not contacted: api.lock is held by sync")
    assert server.requests == []
    assert report.ok


def test_a_service_in_trouble_is_not_asked_for_long(serve: Serve, home: Path) -> None:
    server = serve()
    server.fault_rate(1.0, kinds=("503",), seed=1)
    report = examine(settings_for(server, home), probe=True)
    assert status_of(report, "service")[0] == "failed"
    assert len(server.requests) <= 4


def test_a_broken_catalog_points_to_the_backup(serve: Serve, home: Path) -> None:
    (home / "catalog.sqlite").write_bytes(b"no database" * 100)
    report = examine(settings_for(serve(), home), probe=False)
    finding = next(f for f in report.findings if f.check == "catalog")
    assert (finding.status, "restore" in finding.advice) == ("failed", True)


def test_a_home_that_others_can_read_is_a_warning(serve: Serve, home: Path) -> None:
    home.chmod(0o755)
    report = examine(settings_for(serve(), home), probe=False)
    finding = next(f for f in report.findings if f.check == "home")
    assert (finding.status, finding.advice) == ("warning", f"chmod 700 {home}")


@pytest.mark.parametrize(
    ("variables", "wording"),
    [
        ({"HATIF_TIMEZONE": "Mars"}, "HATIF_TIMEZONE: is not the name of a time zone"),
        ({"HATIF_HOME": "letter/home"}, "cannot write to letter/home: Not a directory"),
    ],
)
def test_settings_or_a_home_that_cannot_be_used_exit_2(
    tmp_path: Path, variables: dict[str, str], wording: str
) -> None:
    (tmp_path / "letter").touch()
    answer = doctor(settings=None, **variables)
    assert (answer.exit_code, wording in answer.stdout) == (2, True)
    assert "→ " in answer.stdout


def test_how_the_holidays_were_read_is_shown(tmp_path: Path) -> None:
    """A line of a date and a name is a whole day, which a mistyped time must not become unseen."""
    (tmp_path / "days.csv").write_text("2026-01-01,Eid\n2026-01-03,09:00,12:00\n2026-01-02\n")
    answer = doctor(HATIF_HOLIDAYS="days.csv")
    assert "whole days: 2, parts of days: 1, 2026-01-01 to 2026-01-03" in answer.stdout


def test_missing_credentials_are_a_setting_and_exit_2(home: Path) -> None:
    answer = doctor("--no-probe", HATIF_HOME=str(home))
    assert answer.exit_code == 2
    assert "HATIF_CLIENT_ID and HATIF_CLIENT_SECRET: not set" in answer.stdout


def test_a_clock_apart_from_a_server_on_this_machine_may_be_a_rehearsals(
    serve: Serve, home: Path
) -> None:
    report = examine(settings_for(serve(), home), probe=False)
    finding = next(f for f in report.findings if f.check == "clock")
    assert "rehearsal server" in finding.advice


def test_what_was_never_seen_is_not_called_none(home: Path) -> None:
    doctor("--no-probe", HATIF_HOME=str(home))
    with open_lake(Settings.load(home=home)):
        pass
    answer = doctor("--no-probe", HATIF_HOME=str(home))
    assert "billable at: nothing seen; not: nothing seen" in answer.stdout
    assert "None" not in answer.stdout


def test_a_catalog_on_a_server_that_is_not_reached_needs_no_backup(home: Path) -> None:
    answer = doctor("--no-probe", HATIF_HOME=str(home), HATIF_CATALOG="postgres:host=127.0.0.1")
    assert "Check HATIF_CATALOG" in answer.stdout
    assert "restore" not in answer.stdout
