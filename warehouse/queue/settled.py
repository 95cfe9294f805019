"""Lists that are due and need no request, since what changed in them is known already.

What webhooks know of messages is in ``core.messages``. Four rules take lists out of a plan:

* a conversation is not read for a change that an earlier reading of its timeline has found: its
  stored events are as many as the service counts now, and the newest is the one that it shows;
* a step is not due whose events have reached a final state by webhook: read or failed, a call its
  summary; nor one whose events are messages that webhooks know, in a channel that is *proven*;
* in a proven channel a conversation is not read for messages that webhooks have reported wholly:
  together with the stored events they are as many as the service counts, and the newest is the
  last that it shows. Only a timeline tells whether an AI agent sent a message that names no
  sender, and all of calls and assignments; so these are read as ever;
* the list of a proven channel is not read for what came since where no webhook came since, other
  than receipts of messages from before that reading.

A channel is proven where its timelines showed at least `LEAST_MESSAGES` messages of the last week,
and webhooks had 99.5 % of them, those of over three days ago with the status that they had there
(receipts come late, too). To keep proving it, one list in fifty is read all the same, drawn by
hash; and each list keeps its turn to be read in full, which brings whatever a webhook could not
report. Messages from before the home began to follow the
channel prove nothing: their webhooks can have come in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from warehouse.lake.sql import exists, home_value, literal, scalar, seconds
from warehouse.models.model import main_model
from warehouse.queue.steps import STEPS, steps_of

#: The least share of a channel's messages in timelines that its webhooks must have had.
LEAST_COVERAGE = 0.995
#: So many messages at least must show it.
LEAST_MESSAGES = 100
_WINDOW = timedelta(days=7)
#: A webhook is retried for about an hour, and its file read and merged a little later.
_LATEST = timedelta(hours=2)
#: One list in so many is read all the same.
ONE_IN = 50
#: Clocks of the receiver and the service may differ by so much.
_SKEW = timedelta(minutes=5)
#: A message that is older than its channel's list by this has been shown in it.
_SHOWN = timedelta(minutes=1)
#: The temporary tables that `leave_out` leaves on its connection.
TEMPORARY = ("questioned", "proven", "needless")
#: Key of ``ops.home``: the service's time at the end of the home's first run.
FOLLOWED_SINCE = "followed_since"

#: Messages of timelines beside what webhooks had of them; NULL where they had nothing.
_COVERAGE = """
    SELECT m.channel_id, count(*) AS messages,
        count(*) FILTER (m.in_webhooks AND (
            m.direction <> 'outbound' OR t.occurred_at > {final}
            OR coalesce(w.rank, 0) >= message_rank(t.status))) AS known
    FROM core.messages m
    JOIN core.timeline_events t ON t.event_id = m.event_id
    LEFT JOIN (SELECT message_key, max(message_rank(status)) AS rank FROM core.message_statuses
        WHERE sent_at > {since} GROUP BY ALL) w ON w.message_key = m.message_key
    WHERE m.in_timeline AND m.deleted_at IS NULL AND m.direction IN ('inbound', 'outbound')
        AND t.occurred_at > {since} AND t.occurred_at < {until}
    GROUP BY ALL
"""
_IN_QUESTION = "conversation_id IN (SELECT parent_id FROM temp.questioned)"
#: Messages and calls there. A join with all of them would keep every message of the warehouse in
#: memory to find some hundreds.
_MESSAGES = (
    f"(SELECT event_id, status, in_webhooks, channel_id FROM core.messages WHERE {_IN_QUESTION})"
)
_CALLS = (
    f"(SELECT event_id, summary FROM core.calls WHERE conversation_id IS NULL OR {_IN_QUESTION})"
)
#: Of each conversation in question: events and messages that only webhooks know, their newest, and
#: whether all of the latter are of those that webhooks report wholly.
_KNOWN = f"""
    SELECT conversation_id, count(*) AS events, max(instant) AS newest,
        arg_max(direction, instant) AS direction, arg_max(rank, instant) AS rank,
        bool_and(is_whole) AS is_whole
    FROM (
        SELECT t.conversation_id, t.occurred_at AS instant, t.direction, true AS is_whole,
            greatest(message_rank(t.status), message_rank(m.status)) AS rank
        FROM core.timeline_events t LEFT JOIN {_MESSAGES} m ON m.event_id = t.event_id
        WHERE t.deleted_at IS NULL AND t.{_IN_QUESTION}
        UNION ALL
        SELECT conversation_id, sent_at, direction,
            coalesce(event_id IS NOT NULL AND (direction = 'inbound' OR direction = 'outbound' AND
                sender_user_id IN (SELECT user_id FROM core.users WHERE NOT is_ai_agent)), false),
            message_rank(status)
        FROM core.messages
        WHERE in_webhooks AND NOT in_timeline AND deleted_at IS NULL AND {_IN_QUESTION}
    )
    GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a channel webhooks had.

    Attributes:
        messages: of the last week in its timelines.
        known: those of them that webhooks had; of over three days ago, with the status there.
    """

    messages: int
    known: int

    @property
    def share(self) -> float:
        """The known ones among the messages, 0 to 1."""
        return round(self.known / self.messages, 6)

    @property
    def is_proven(self) -> bool:
        """Whether what webhooks report need not be read."""
        return self.messages >= LEAST_MESSAGES and self.known >= LEAST_COVERAGE * self.messages


def coverage(connection: duckdb.DuckDBPyConnection, now: datetime) -> dict[str, Coverage]:
    """Return how much webhooks had of each channel that had messages of late.

    Args:
        connection: for reading; nothing is bound, see `warehouse.queue.plan`.
        now: the service's time.
    """
    since = home_value(connection, FOLLOWED_SINCE)
    if since is None or not exists(connection, "FROM core.message_statuses"):
        return {}
    begin = max(now - _WINDOW, datetime.fromisoformat(since))
    rows = connection.execute(
        _COVERAGE.format(
            since=_instant(begin), until=_instant(now - _LATEST), final=_instant(now - STEPS[-1])
        )
    ).fetchall()
    return {channel: Coverage(messages, known) for channel, messages, known in rows if channel}


def leave_out(
    connection: duckdb.DuckDBPyConnection, stream: str, now: datetime, unsettled: timedelta
) -> int:
    """Take lists that need no request out of the table ``plan``; return how many.

    Some that would be stay as samples.

    Args:
        connection: for reading, with the temporary table that `warehouse.queue.plan` makes.
        stream: whose lists are in it.
        now: the service's time.
        unsettled: how long an event that can still change is looked at again.
    """
    if stream not in _RULES or not exists(connection, f"FROM plan WHERE {_RULES[stream]}"):
        return 0
    if stream == "conversations" and not exists(connection, "FROM core.message_statuses"):
        return 0
    chosen = _quiet_heads() if stream == "conversations" else f"FROM plan WHERE {_RULES[stream]}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE questioned AS {chosen}")
    if not exists(connection, "FROM questioned"):
        return 0
    proven = [channel for channel, one in coverage(connection, now).items() if one.is_proven]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE proven AS SELECT channel_id FROM "
        f"(SELECT unnest([{', '.join(map(literal, proven))}]::VARCHAR[]) AS channel_id)"
    )
    needless = _timelines(now, unsettled)
    if stream == "conversations":
        needless = (
            "SELECT parent_id, true AS may_sample FROM temp.questioned "
            "WHERE parent_id IN (FROM temp.proven)"
        )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE needless AS {needless}")
    before = scalar(connection, "SELECT count(*) FROM plan")
    if not exists(connection, "FROM needless"):
        return 0
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE plan AS
        SELECT p.* REPLACE (row_number() OVER (ORDER BY p.n) AS n,
            CASE WHEN d.parent_id IS NULL THEN p.reason ELSE 'sample' END AS reason)
        FROM plan p LEFT JOIN needless d USING (parent_id)
        WHERE d.parent_id IS NULL OR d.may_sample AND
            hash(concat_ws('|', p.parent_id, p.signal, epoch(p.read_at)::BIGINT)) % {ONE_IN} = 0
        """
    )
    return before - scalar(connection, "SELECT count(*) FROM plan")


#: The lists of a plan that may need no request, by stream.
_RULES = {
    "timelines": "reason IN ('hint', 'changed', 'step') AND NOT is_its_turn",
    "conversations": "reason = 'head' AND NOT is_its_turn",
}


def _quiet_heads() -> str:
    """Lists of channels of which no webhook came since they were read, but on earlier messages."""
    since = f"(SELECT min(read_at) FROM plan) - {seconds(_SKEW)}"
    return f"""
        SELECT p.parent_id
        FROM plan p LEFT JOIN (
            SELECT channel_id, received_at AS at, sent_at
            FROM raw.webhook_events LEFT JOIN (
                SELECT delivery_id, sent_at FROM core.message_statuses WHERE received_at > {since}
            ) USING (delivery_id)
            WHERE received_at > {since}
        ) e ON (e.channel_id IS NULL OR e.channel_id = p.parent_id)
            AND e.at > p.read_at - {seconds(_SKEW)}
            AND (e.sent_at > p.read_at - {seconds(_SHOWN)}) IS NOT FALSE
        WHERE {_RULES["conversations"]}
        GROUP BY p.parent_id HAVING count(e.at) = 0
    """


def _timelines(now: datetime, unsettled: timedelta) -> str:
    """Conversations that need no reading, neither for what changed nor for a step that is due."""
    return f"""
        SELECT q.parent_id, r.parent_id IS NOT NULL OR coalesce(NOT s.is_final, false) AS may_sample
        FROM temp.questioned q
        LEFT JOIN ({_reported()}) r USING (parent_id)
        LEFT JOIN ({_known_already()}) k USING (parent_id)
        LEFT JOIN ({_steps(now, unsettled)}) s USING (parent_id)
        WHERE (q.reason = 'step' OR r.parent_id IS NOT NULL OR k.parent_id IS NOT NULL)
            AND (NOT q.has_step OR coalesce(s.is_covered, true))
    """


def _counts_agree() -> str:
    """Whether the service counts as we do: where it does not, equal numbers are chance."""
    return (
        "(SELECT count(*) FILTER (gap = 0) >= 0.9 * count(gap) FROM ops.cursors "
        f"WHERE stream = '{main_model('timelines').stream}')"
    )


def _reported() -> str:
    """Conversations whose change is no more than webhooks have reported."""
    return f"""
        SELECT q.parent_id
        FROM temp.questioned q
        JOIN core.conversations c ON c.conversation_id = q.parent_id
        JOIN ({_KNOWN}) k ON k.conversation_id = q.parent_id
        WHERE q.reason IN ('hint', 'changed') AND c.channel_id IN (FROM temp.proven)
            AND {_counts_agree()}
            AND k.is_whole AND c.event_count = k.events AND c.last_event_source = 'whatsapp'
            AND abs(epoch(c.last_event_at) - epoch(k.newest)) <= 1
            AND epoch(c.last_activity_at) <= epoch(k.newest) + 1
            AND c.last_event_direction = k.direction
            AND (k.direction = 'inbound' OR k.rank >= message_rank(c.last_event_status))
    """


def _known_already() -> str:
    """Conversations that show now what an earlier reading of their timeline has found already."""
    return f"""
        SELECT q.parent_id
        FROM temp.questioned q
        JOIN core.conversations c ON c.conversation_id = q.parent_id
        JOIN (
            SELECT conversation_id, count(*) AS events, max(occurred_at) AS newest,
                arg_max(status, occurred_at) AS status
            FROM core.timeline_events
            WHERE deleted_at IS NULL AND {_IN_QUESTION}
            GROUP BY ALL
        ) k ON k.conversation_id = q.parent_id
        WHERE q.reason = 'changed' AND {_counts_agree()} AND c.event_count = k.events
            AND abs(epoch(c.last_event_at) - epoch(k.newest)) <= 1
            AND epoch(c.last_activity_at) <= epoch(k.newest) + 1
            AND c.last_event_status = k.status
    """


def _steps(now: datetime, unsettled: timedelta) -> str:
    """Of conversations with a due step: whether webhooks have settled its events, or will."""
    timelines = main_model("timelines")
    due = "(SELECT parent_id, read_at AS began_at FROM temp.questioned WHERE has_step)"
    steps = steps_of(due, timelines, unsettled)
    covered = (
        "m.status IN ('read', 'failed') OR k.summary IS NOT NULL "
        "OR (m.in_webhooks AND m.channel_id IN (FROM temp.proven))"
    )
    return f"""
        SELECT s.parent_id, bool_and(coalesce({covered}, false)) AS is_covered, bool_and(
            coalesce(m.status IN ('read', 'failed') OR k.summary IS NOT NULL, false)) AS is_final
        FROM ({steps}) s
        LEFT JOIN {_MESSAGES} m ON m.event_id = s.event_id
        LEFT JOIN {_CALLS} k ON k.event_id = s.event_id
        WHERE s.step <= {_instant(now)}
        GROUP BY s.parent_id
    """


def _instant(instant: datetime) -> str:
    return f"TIMESTAMPTZ '{instant.isoformat()}'"
