"""``hatif doctor``: is everything in order, and what does the live service really do?

What it finds is written to ``$HATIF_HOME/doctor.json``: statuses, counts, names of keys and codes.
No secret, and nothing that a customer wrote.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec

from hatif.api_probe import ApiProbe
from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.clock import ClockWitness
from hatif.errors import Busy, HatifError, SettingsError
from hatif.findings import Answer, Finding
from hatif.sender import RetryPolicy
from hatif.unreachable import LOOPBACK
from hatif.webhooks.sources import place_of
from sync.session import open_budget
from warehouse.lake.explain import explain
from warehouse.lake.locks import API
from warehouse.lake.store import Store
from warehouse.reports import health, status
from warehouse.reports.destinations import replacing
from warehouse.settings.environment import Settings

REPORT = "doctor.json"
_MOST_REQUESTS = 40
_APART = timedelta(minutes=2)
#: A probe is not worth a burden on a service in trouble.
_RETRY = RetryPolicy(attempts=2, patience=10)


def examine(
    settings: Settings, *, probe: bool | None, retry: RetryPolicy = _RETRY, deep: bool = False
) -> Report:
    """Look at everything, and keep what was found in the home.

    Args:
        settings: already known to be sound.
        probe: find out what its documentation leaves open; None = only where never done.
        retry: how patient to be with the service.
        deep: read every file of the lake.
    """
    report = Report([Finding("settings", "ok", "every setting can be read")])
    report.findings += _environment_file()
    report.findings += health.home(settings)
    if report.usage_is_wrong:
        if settings.home.is_dir():  # on a read-only medium, say: what is there can be examined
            found, report.answers = health.catalog(settings, deep=deep)
            report.findings += found
        return report
    report.findings += [*_servers(settings), *health.lock_holders(settings)]
    found, report.answers = health.catalog(settings, deep=deep)
    report.findings += [*found, _webhooks(settings), _rates(settings)]
    report.findings += _holidays(settings)
    before = _read(settings.home / REPORT)
    if probe is None:
        probe = not before.service_answers
    _ask(settings, report, retry, probe=probe)
    if not report.service_answers:
        report.service_answers = [
            msgspec.structs.asdict(answer) for answer in before.service_answers
        ]
        report.asked_at = before.asked_at
    _keep(settings.home / REPORT, report)
    return report


class Report:
    """All findings and answers.

    Attributes:
        findings: of this examination.
        answers: from what is stored.
        service_answers: of this or the last probe of the service, as plain values.
        asked_at: when that was.
        requests: HTTP attempts made now.
    """

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.answers: list[Answer] = []
        self.service_answers: list[dict[str, Any]] = []
        self.asked_at: str | None = None
        self.requests = 0

    @property
    def usage_is_wrong(self) -> bool:
        """Whether settings, missing credentials among them, or the home keep it from working."""
        usage = ("settings", "home", "credentials")
        return any(f.status == "failed" and f.check in usage for f in self.findings)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(finding.status != "failed" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return what ``hatif doctor --json`` prints and the home keeps."""
        return {
            "ok": self.ok,
            "findings": [finding.as_json() for finding in self.findings],
            "stored_answers": [answer.as_json() for answer in self.answers],
            "service_answers": self.service_answers,
            "asked_at": self.asked_at,
            "requests": self.requests,
        }


def unreadable(error: SettingsError) -> Report:
    """Return the report where not even the settings can be read."""
    return Report(
        [Finding("settings", "failed", str(error), "Mend them in the environment or .env")]
    )


def _servers(settings: Settings) -> list[Finding]:
    """Try a database and a bucket; a home of files needs neither, nor loads what reaches them."""
    if not ("://" in settings.lake_path or settings.catalog_dsn.startswith("postgres")):
        return []
    from warehouse.reports import stores

    return stores.findings(settings)


def _environment_file() -> list[Finding]:
    file = Path(".env")
    if file.is_file() and file.stat().st_mode & 0o077:
        text = "other users of this machine may read .env, which holds the secret"
        return [Finding(".env", "warning", text, "chmod 600 .env")]
    return []


def _webhooks(settings: Settings) -> Finding:
    try:
        files = sum(1 for _ in place_of(settings.webhook_location).files())
        others = status.other_files(settings.webhook_location)
    except (HatifError, OSError) as error:
        return Finding("webhooks", "failed", str(error), "Check HATIF_WEBHOOK_DIR")
    text = f"{files or 'no'} files in {settings.webhook_location}"
    if others["count"]:
        named = ", ".join(map(repr, others["first"]))
        text += f"; {others['count']:,} others are none by their names: {named}"
        advice = "Name them .json, .ndjson or .jsonl (also .gz, .zst), or move them away"
        return Finding("webhooks", "warning", text, advice)
    if not files:
        return Finding("webhooks", "warning", text, "Costs need webhooks: see docs/webhooks.md")
    return Finding("webhooks", "ok", text)


def _rates(settings: Settings) -> Finding:
    if not settings.rate_card:
        advice = "Set HATIF_RATE_CARD; warehouse/settings/sample_rate_card.csv shows the form"
        return Finding("rate card", "warning", "none, so costs stay empty", advice)
    return Finding("rate card", "ok", f"{len(settings.rate_card):,} rates")


def _holidays(settings: Settings) -> list[Finding]:
    """Show how the file of holidays was read: a name in the place of a time makes a whole day."""
    if not (days := settings.holidays):
        return []
    whole = sum(day.ends - day.starts == timedelta(days=1) for day in days)
    first, last = min(day.starts for day in days), max(day.starts for day in days)
    text = f"whole days: {whole:,}, parts of days: {len(days) - whole:,}"
    return [Finding("holidays", "ok", f"{text}, {first:%Y-%m-%d} to {last:%Y-%m-%d}")]


def _ask(settings: Settings, report: Report, retry: RetryPolicy, *, probe: bool) -> None:
    """Sign in, compare clocks, and probe the service where that is wanted."""
    try:
        settings.credentials()
        locks = Store.of(settings).locks
        with (
            closing(locks),
            locks.exclusive(API, "doctor", wait=False),
            open_budget(locks, settings.requests_per_minute, _MOST_REQUESTS) as budget,
        ):
            anyio.run(_talk, settings, budget, report, retry, probe)
            report.requests = budget.used
    except Busy as error:
        advice = "Run the doctor again when that has ended"
        report.findings.append(Finding("service", "warning", f"not contacted: {error}", advice))
    except SettingsError as error:
        report.findings.append(Finding("credentials", "failed", str(error)))
    except HatifError as error:
        report.findings.append(Finding("service", "failed", str(error)))


async def _talk(
    settings: Settings, budget: Budget, report: Report, retry: RetryPolicy, probe: bool
) -> None:
    clock = ClockWitness()
    async with HatifClient(settings, budget, retry=retry, clock=clock) as client:
        await client.sign_in()
        is_local = httpx.URL(settings.base_url).host in LOOPBACK
        accepted = Finding("credentials", "ok", "accepted")
        report.findings += [accepted, _clocks(clock.apart, is_local=is_local)]
        if probe:
            answers = await ApiProbe(client).answers()
            report.service_answers = [answer.as_json() for answer in answers]
            report.asked_at = datetime.now(UTC).isoformat(timespec="seconds")


def _clocks(apart: timedelta | None, *, is_local: bool) -> Finding:
    """Compare the machine's clock with that of the service, or of a rehearsal server here."""
    if apart is None:
        return Finding("clock", "warning", "the service sends no Date header")
    text = f"{abs(apart.total_seconds()):,.0f} s {'behind' if apart > timedelta() else 'ahead of'} "
    text = f"this machine is {text}the service"
    if abs(apart) > _APART:
        advice = "Let the machine keep time (NTP)"
        if is_local:
            advice = "None, if that is a rehearsal server: it lives in a time of its own"
        return Finding("clock", "warning", text, advice)
    return Finding("clock", "ok", text)


class _KeptAnswer(msgspec.Struct):
    """An `Answer` as `Answer.as_json` names it."""

    question: str
    says: str
    facts: dict[str, Any] = {}


class _Kept(msgspec.Struct):
    """What a report kept by an earlier examination holds of the service."""

    service_answers: list[_KeptAnswer] = []
    asked_at: str | None = None


def _read(file: Path) -> _Kept:
    """Return what was kept; nothing where there is no such file, or it is none of ours."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (OSError, ValueError, msgspec.DecodeError):
        return _Kept()


def _keep(file: Path, report: Report) -> None:
    """Write the report into the home; where that fails, it is a finding of the report shown."""
    try:
        with replacing(file) as unfinished:
            unfinished.touch(mode=0o600)
            content = msgspec.json.encode(report.as_json())
            unfinished.write_bytes(msgspec.json.format(content, indent=2))
    except OSError as error:
        report.findings.append(Finding(REPORT, "warning", f"not kept: {explain(error)}"))
