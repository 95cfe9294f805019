"""What must hold of the warehouse after a run: statements, and the queries that test them.

A runner reports the results: Dagster as asset checks, the command line as its exit status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from hatif.errors import HatifError
from hatif.streams import STREAMS
from sync import proven
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists, scalar
from warehouse.marts import tie_outs
from warehouse.marts.tie_outs import TieOut
from warehouse.merge import checks as merge_checks
from warehouse.models.model import Model, merged_models, models_of
from warehouse.records import drift
from warehouse.reports import status
from warehouse.settings.environment import Settings

#: A table, or a stream in ``raw``, as schema and name.
Table = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """A statement about a table.

    Attributes:
        name: of the check; unique for a table.
        table: that it is about.
        statement: what holds where it passes.
        blocks: whether nothing may be computed of the table while it fails.
    """

    name: str
    table: Table
    statement: str
    blocks: bool = False

    @property
    def key(self) -> tuple[Table, str]:
        """Its table and name."""
        return self.table, self.name


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: of the check.
        table: that it is about.
        message: what is wrong and what to do, None where the check passed. Shows no data.
        numbers: that the check compared.
        loses_nothing: a failure is a warning, since the data are complete all the same.
    """

    name: str
    table: Table
    message: str | None
    numbers: Mapping[str, int | float]
    loses_nothing: bool = False

    @property
    def key(self) -> tuple[Table, str]:
        """Of its check: table and name."""
        return self.table, self.name

    @property
    def is_error(self) -> bool:
        """Whether it failed, and not as a warning."""
        return self.message is not None and not self.loses_nothing


WEBHOOKS: Table = ("raw", "webhook_events")
_MESSAGES: Table = ("core", "messages")
_CERTIFICATE, _REJECTS, _UNIQUE = "certificate_is_complete", "no_rejects", "rows_are_unique"
_DRIFT, _LISTS, _UNSIGNED = "service_is_as_known", "every_list_was_read", "deliveries_are_signed"
_ALL_MERGED, _BY_TIME = "every_event_is_one_message", "few_are_joined_by_time"
_TIMED = "all_have_a_time"
#: Rows from which on the keys of a table are not all looked at again after each change.
LARGE = 200_000


def checks_of_step(stream: str) -> list[Check]:
    """Return the checks made with a stream's own reading: `drift_result` and `lists_result`."""
    return [
        Check(
            _DRIFT,
            ("raw", stream),
            "The service sends no key and no code that is undocumented, its timestamps agree with "
            "its ids, and its records have ids. Made also when the step fails.",
        ),
        Check(
            _LISTS,
            ("raw", stream),
            "No list failed beside others that were read. Such a failure does not stop what hangs "
            "on the others; the next sync retries them.",
        ),
    ]


def drift_result(lake: Lake, stream: str) -> CheckResult:
    """Check for what is undocumented in a stream; only what stopped it is an error."""
    with lake.reading() as connection:
        return _drift_result(stream, drift.by_stream(connection).get(stream, []))


def _drift_result(stream: str, found: Sequence[drift.Drift]) -> CheckResult:
    first = found[0] if found else None
    return CheckResult(
        _DRIFT,
        ("raw", stream),
        f"New: {first.kind} {first.what}, first in {first.example or 'the list'}; "
        f"in all {len(found)}, see ops.drift."
        if first
        else None,
        _by_kind(found, "key", "code", "clock", "ids"),
        loses_nothing=not any(one.kind in drift.STOPS for one in found),
    )


def lists_result(stream: str, failed: HatifError | None) -> CheckResult:
    """Check that no list of a stream failed; `failed` names the first and how many did."""
    return CheckResult(_LISTS, ("raw", stream), None if failed is None else str(failed), {})


def checks_of_stream(stream: str) -> list[Check]:
    """Return the checks of a stream and its tables; results: `stream_results`."""
    return [
        Check(
            _CERTIFICATE,
            ("raw", stream),
            "The newest scan of every list is certified: it met every record that lives, and none "
            "that does not.",
        ),
        Check(
            _REJECTS,
            ("raw", stream),
            "No record had to be set aside, those acknowledged not counted.",
        ),
        *(_unique(model) for model in models_of(stream)),
    ]


def stream_results(lake: Lake, stream: str) -> list[CheckResult]:
    """Check a stream's certificates and rejects, and the keys of its tables."""
    with lake.snapshot() as connection:
        certified = status.certificates(connection, [stream])[stream]
        rejects = status.unacknowledged_rejects(connection).get(stream, 0)
        unique = [_unique_result(connection, model) for model in models_of(stream)]
    return [*_reading_results(stream, certified, rejects), *unique]


def results_of_streams(lake: Lake, streams: Sequence[str]) -> dict[str, list[CheckResult]]:
    """Make the checks of streams, that of drift included; all at once, which is cheaper.

    The keys of tables are looked at where these changed since all of them were unique.
    """
    doubled = _doubled(lake)
    with lake.snapshot() as connection:
        certified = status.certificates(connection, streams)
        rejects = status.unacknowledged_rejects(connection)
        drifted = drift.by_stream(connection)
    return {
        stream: [
            _drift_result(stream, drifted.get(stream, [])),
            *_reading_results(stream, certified[stream], rejects.get(stream, 0)),
            *(_uniqueness(model, doubled[model.table]) for model in models_of(stream)),
        ]
        for stream in streams
    }


def _doubled(lake: Lake) -> dict[str, int]:
    """Return how many rows share their key with another, of each table of a stream.

    A large table of which none did is looked at where records were stored since, since nothing else
    should change its keys; a day later as a whole again.
    """
    read = {model.table: model for stream in STREAMS for model in models_of(stream)}

    def make(
        connection: duckdb.DuckDBPyConnection, table: str, since: int | None
    ) -> proven.Numbers:
        model, where = read[table], "true"
        is_large = scalar(connection, f"SELECT count(*) FROM {table}") > LARGE
        if since is not None and is_large and model.grain == (model.replace,):
            where = (
                f"{model.replace} IN (SELECT record_id FROM raw.records "
                f"WHERE stream = '{model.stream}' AND seq > {since})"
            )
        return {"duplicates": status.duplicates(connection, model, where)}

    # A view has the rows of a table, so its keys are as unique.
    tables = frozenset(table for table, model in read.items() if not model.is_view)
    group = proven.Group("unique", tables, repr(sorted(read)))
    found = proven.by_table(lake, group, make, lambda numbers: not numbers["duplicates"])
    with lake.snapshot() as connection:
        found |= {table: make(connection, table, None) for table in read.keys() - tables}
    return {table: int(numbers["duplicates"]) for table, numbers in found.items()}


def _reading_results(
    stream: str, certified: tuple[int, int, int], rejects: int
) -> list[CheckResult]:
    """Return whether all lists of a stream are certified and no record is set aside."""
    lists, repaired, uncertified = certified
    return [
        CheckResult(
            _CERTIFICATE,
            ("raw", stream),
            f"{uncertified:,} of {lists:,} lists are not certified. Sync again."
            if uncertified
            else None,
            {"lists": lists, "repaired": repaired, "uncertified": uncertified},
        ),
        CheckResult(
            _REJECTS,
            ("raw", stream),
            f"Set aside: {rejects:,}. Why: hatif rejects. After a fix: hatif rejects replay"
            if rejects
            else None,
            {"rejects": rejects},
            loses_nothing=True,  # each waits to be replayed
        ),
    ]


def checks_of_webhooks() -> list[Check]:
    """Return the checks of the deliveries; results: `webhook_results`."""
    return [
        Check(
            _REJECTS,
            WEBHOOKS,
            "No delivery had to be set aside, those acknowledged not counted.",
        ),
        Check(
            _UNSIGNED,
            WEBHOOKS,
            "Where any channel has a secret, no delivery comes unsigned.",
        ),
        Check(
            _DRIFT,
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
            _REJECTS,
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
            _DRIFT,
            WEBHOOKS,
            f"New: {found[0].kind} {found[0].what}, first in delivery {found[0].example}; in all "
            f"{len(found)}, see ops.drift."
            if found
            else None,
            _by_kind(found, "bad_value", "code"),
            loses_nothing=True,
        ),
    ]


def checks_of_merged() -> list[Check]:
    """Return the checks of messages, calls and IVR calls; results: `merged_results`."""
    return [
        *(_unique(model, blocks=model.name in ("messages", "calls")) for model in merged_models()),
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
    unique = [_unique_result(connection, model) for model in merged_models()]
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
            _unique_result(connection, model, merge_checks.marked(connection))
            for model in merged_models()
            if ((model.schema, model.name), _UNIQUE) in blocking
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


def _unique(model: Model, *, blocks: bool = False) -> Check:
    blocked = " Blocks the marts, which would count it twice." if blocks else ""
    return Check(
        _UNIQUE,
        (model.schema, model.name),
        f"No two rows share {', '.join(model.grain)}.{blocked}",
        blocks=blocks,
    )


def _unique_result(
    connection: duckdb.DuckDBPyConnection, model: Model, where: str = "true"
) -> CheckResult:
    return _uniqueness(model, status.duplicates(connection, model, where))


def _uniqueness(model: Model, doubled: int) -> CheckResult:
    return CheckResult(
        _UNIQUE,
        (model.schema, model.name),
        f"{doubled:,} rows share their key with another. Please report this; "
        "hatif rebuild makes the table again"
        if doubled
        else None,
        {"duplicates": doubled},
    )


def _by_kind(found: Sequence[drift.Drift], *kinds: str) -> dict[str, int]:
    return {f"new_{kind}": sum(one.kind == kind for one in found) for kind in kinds}
