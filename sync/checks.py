"""What must hold after a run of what is computed: webhooks, messages and calls, marts.

Statements, and the queries that test them; of streams: `sync.stream_checks`. A runner reports the
results: Dagster as asset checks, the command line as its exit status.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from sync import proven
from sync.check import (
    DRIFT,
    REJECTS,
    UNIQUE,
    Check,
    CheckResult,
    Table,
    by_kind,
    unique,
    unique_result,
)
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists
from warehouse.marts import tie_outs
from warehouse.marts.tie_outs import TieOut
from warehouse.merge import checks as merge_checks
from warehouse.models.model import merged_models
from warehouse.records import drift
from warehouse.reports import status
from warehouse.settings.environment import Settings

WEBHOOKS: Table = ("raw", "webhook_events")
_MESSAGES: Table = ("core", "messages")
_UNSIGNED, _TIMED = "deliveries_are_signed", "all_have_a_time"
_ALL_MERGED, _BY_TIME = "every_event_is_one_message", "few_are_joined_by_time"


def checks_of_webhooks() -> list[Check]:
    """Return the checks of the deliveries; results: `webhook_results`."""
    return [
        Check(
            REJECTS,
            WEBHOOKS,
            "No delivery had to be set aside, those acknowledged not counted.",
        ),
        Check(
            _UNSIGNED,
            WEBHOOKS,
            "Where any channel has a secret, no delivery comes unsigned.",
        ),
        Check(
            DRIFT,
            WEBHOOKS,
            "The service sends no value that cannot be read and no code that is undocumented. The "
            "rest of such a delivery counts; the raw body keeps the value.",
        ),
    ]


def webhook_results(lake: Lake, settings: Settings) -> list[CheckResult]:
    """Count rejects, unsigned deliveries and drift; all only warn, since nothing is lost."""
    with lake.snapshot() as connection:
        found = drift.by_stream(connection).get(WEBHOOKS[1], [])
        rejects = status.unacknowledged_rejects(connection).get(WEBHOOKS[1], 0)
        ((rows, unsigned),) = connection.execute(
            "SELECT count(*), count(*) FILTER (signature = 'unsigned') FROM raw.webhook_events"
        ).fetchall()
    expected = bool(settings.webhook_secrets.get_secret_value())
    return [
        CheckResult(
            REJECTS,
            WEBHOOKS,
            f"Set aside: {rejects:,}. See: hatif rejects" if rejects else None,
            {"rejects": rejects},
            loses_nothing=True,
        ),
        CheckResult(
            _UNSIGNED,
            WEBHOOKS,
            f"{unsigned:,} of {rows:,} deliveries are unsigned. Which channels lack a secret?"
            if expected and unsigned
            else None,
            {"unsigned": unsigned, "unsigned_share": round(unsigned / rows, 6) if rows else 0.0},
            loses_nothing=True,
        ),
        CheckResult(
            DRIFT,
            WEBHOOKS,
            f"New: {found[0].kind} {found[0].what}, first in delivery {found[0].example}; in all "
            f"{len(found)}, see ops.drift."
            if found
            else None,
            by_kind(found, "bad_value", "code"),
            loses_nothing=True,
        ),
    ]


def checks_of_merged() -> list[Check]:
    """Return the checks of messages, calls and IVR calls; results: `merged_results`."""
    return [
        *(unique(model, blocks=model.name in ("messages", "calls")) for model in merged_models()),
        Check(
            _ALL_MERGED,
            _MESSAGES,
            "The WhatsApp events of the timelines and the messages that claim to be in one are the "
            "same set.",
        ),
        Check(
            _BY_TIME,
            _MESSAGES,
            "Timeline and webhooks name messages by the same ids. Where they do not, a message is "
            "known by conversation, direction, text and time within 2 s: this counts how often, "
            f"and warns above {merge_checks.JOINED_BY_TIME_SHARE:.0%}.",
        ),
        Check(
            _TIMED,
            _MESSAGES,
            "Every message and call has a time. One without is in core, but in no day of the marts "
            "until a timeline or another delivery states its time.",
        ),
    ]


def merged_results(lake: Lake) -> list[CheckResult]:
    """Compare messages with what they are made of, where either can have changed."""
    made = checks_of_merged()
    tables = {model.table for model in merged_models()} | {"core.timeline_events"}

    def make(
        connection: duckdb.DuckDBPyConnection,
    ) -> tuple[list[CheckResult], list[proven.Numbers] | None]:
        found = _merged_results(connection)
        is_whole = not exists(connection, "FROM ops.outdated WHERE consumer = 'merge'")
        return found, _numbers(found) if is_whole else None

    def passed(numbers: Sequence[proven.Numbers]) -> list[CheckResult]:
        pairs = zip(made, numbers, strict=True)
        return [CheckResult(check.name, check.table, None, one) for check, one in pairs]

    return proven.results(lake, proven.Group("merged", frozenset(tables), repr(made)), make, passed)


def _merged_results(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Make the checks of `checks_of_merged`, in their order."""
    unique = [unique_result(connection, model) for model in merged_models()]
    missing = merge_checks.events_without_message(connection)
    by_time, of_both = merge_checks.joined_by_time(connection)
    without_time = merge_checks.without_time(connection)
    return [
        *unique,
        CheckResult(
            _ALL_MERGED,
            _MESSAGES,
            "Events of the timelines and messages differ. Run: hatif rebuild; and please report it"
            if missing
            else None,
            {"difference": missing},
        ),
        CheckResult(
            _BY_TIME,
            _MESSAGES,
            f"{by_time:,} of {of_both:,} messages that both sides know share no id. The service "
            "names events otherwise than it used to."
            if by_time > of_both * merge_checks.JOINED_BY_TIME_SHARE
            else None,
            {"joined_by_time": by_time, "known_to_both": of_both},
            loses_nothing=True,
        ),
        CheckResult(
            _TIMED,
            _MESSAGES,
            f"{without_time:,} messages and calls have no time and are in no day of the marts. "
            "See: SELECT * FROM core.messages WHERE sent_at IS NULL"
            if without_time
            else None,
            {"without_time": without_time},
            loses_nothing=True,
        ),
    ]


def marked_results(lake: Lake) -> list[CheckResult]:
    """Check what blocks the marts in the conversations that are marked to be computed."""
    blocking = {check.key for check in checks_of_merged() if check.blocks}
    with lake.snapshot() as connection:
        return [
            unique_result(connection, model, merge_checks.marked(connection))
            for model in merged_models()
            if ((model.schema, model.name), UNIQUE) in blocking
        ]


def checks_of_marts() -> list[Check]:
    """Return the checks of the marts; results: `mart_results`."""
    return [Check(one.name, ("marts", one.mart), one.statement) for one in tie_outs.tie_outs()]


def mart_results(lake: Lake) -> list[CheckResult]:
    """Query the marts for rows that contradict a statement, where that can have changed."""
    lasting = [one for one in tie_outs.tie_outs() if one in tie_outs.lasting()]
    group = proven.Group(
        "marts",
        frozenset().union(*(tie_outs.tables_of(one.sql) for one in lasting)),
        repr(lasting),
    )

    def make(
        connection: duckdb.DuckDBPyConnection,
    ) -> tuple[list[CheckResult], list[proven.Numbers] | None]:
        compared, is_whole = tie_outs.compare(connection, lasting)
        found = [_tie_out_result(one, wrong) for one, wrong in compared]
        return found, _numbers(found) if is_whole else None

    found = proven.results(
        lake, group, make, lambda _: [_tie_out_result(one, 0) for one in lasting]
    )
    with lake.snapshot() as connection:
        others = [one for one in tie_outs.tie_outs() if one not in lasting]
        compared, _ = tie_outs.compare(connection, others)
    return found + [_tie_out_result(one, wrong) for one, wrong in compared]


def _tie_out_result(one: TieOut, wrong: int) -> CheckResult:
    return CheckResult(
        one.name,
        ("marts", one.mart),
        f"{wrong:,} wrong. {one.advice}" if wrong else None,
        {"wrong": wrong},
        loses_nothing=one.loses_nothing,
    )


def _numbers(results: Sequence[CheckResult]) -> list[proven.Numbers] | None:
    """Return the numbers of checks that passed; None where one did not."""
    if any(result.message is not None for result in results):
        return None
    return [result.numbers for result in results]
