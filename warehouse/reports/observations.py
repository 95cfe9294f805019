"""What is stored answers some questions that the service's documentation leaves open.

Each is one SELECT of counts over what was read before, so it costs no request.
"""

from __future__ import annotations

import duckdb

from hatif.findings import Answer

_VERSIONS = """
    SELECT count(*) AS changes, count(*) FILTER (after IS DISTINCT FROM before) AS moved FROM (
        SELECT json_extract_string(payload, '$.{key}') AS after,
            lag(json_extract_string(payload, '$.{key}')) OVER versions AS before,
            row_number() OVER versions AS version
        FROM raw.records WHERE stream = '{stream}' AND op = 'upsert'
        WINDOW versions AS (PARTITION BY record_id ORDER BY seq)
    ) WHERE version > 1
"""


def _moves(stream: str, key: str) -> str:
    return _VERSIONS.format(stream=stream, key=key)


_QUESTIONS = (
    (
        "is a webhook's event id the timeline's",
        "{found} of {deliveries} deliveries with an event id are on a timeline",
        (
            "SELECT count(event_id) AS deliveries, count(*) FILTER (event_id IN "
            "(SELECT event_id FROM core.timeline_events)) AS found FROM core.message_statuses"
        ),
    ),
    (
        "is a webhook's call id the timeline's source id",
        "{found} of {calls} calls known from webhooks are on a timeline",
        (
            "SELECT count(DISTINCT call_id) AS calls, count(DISTINCT call_id) FILTER (call_id IN "
            "(SELECT source_id FROM core.timeline_events WHERE source = 'call')) AS found "
            "FROM core.call_statuses"
        ),
    ),
    (
        "does lastActivityAt move with every change of a conversation",
        "in {moved} of {changes} changes",
        _moves("conversations", "lastActivityAt"),
    ),
    (
        "does lastEventsCount move with every change of a conversation",
        "in {moved} of {changes} changes",
        _moves("conversations", "lastEventsCount"),
    ),
    (
        "does lastModificationTime move with every change of a contact",
        "in {moved} of {changes} changes",
        _moves("contacts", "lastModificationTime"),
    ),
    (
        "does a call have several deliveries",
        "{again} of {calls} calls known from webhooks have several deliveries",
        (
            "SELECT count(*) AS calls, count(*) FILTER (deliveries > 1) AS again FROM "
            "(SELECT count(*) AS deliveries FROM core.call_statuses GROUP BY call_id)"
        ),
    ),
    (
        "at which status is a message billable",
        "billable at: {billable}; not: {free}",
        (
            "SELECT coalesce(string_agg(words, ', ') FILTER (is_billable), 'nothing seen') AS "
            "billable, coalesce(string_agg(words, ', ') FILTER (NOT is_billable), 'nothing seen') "
            "AS free FROM (SELECT "
            "status || ' ' || count(*) AS words, is_billable FROM core.message_statuses "
            "GROUP BY status, is_billable ORDER BY ALL)"
        ),
    ),
)


def observe(connection: duckdb.DuckDBPyConnection) -> list[Answer]:
    """Answer what can be answered from the lake."""
    answers = []
    for question, text, sql in _QUESTIONS:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        facts = dict(zip(names, cursor.fetchone() or (), strict=True))
        answers.append(Answer(question, text.format(**facts), facts))
    return answers
