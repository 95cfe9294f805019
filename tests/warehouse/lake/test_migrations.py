"""Homes of older versions: what their rows meant is kept."""

from __future__ import annotations

from warehouse.lake import migrations, schema
from warehouse.lake.connection import Lake
from warehouse.marts.refresh import refresh
from warehouse.merge.messages import merge
from warehouse.settings.environment import Settings


def test_marks_of_prices_have_a_consumer_of_their_own(lake: Lake) -> None:
    def work(connection) -> None:
        connection.execute(
            "INSERT INTO ops.outdated VALUES ('marts', 'prices of conversation', 'c1'), "
            "('marts', 'conversation', 'c2')"
        )
        migrations.apply(connection, set())

    lake.write("migrate", work)
    with lake.reading() as connection:
        rows = connection.execute("FROM ops.outdated ORDER BY key").fetchall()
    assert rows == [("prices", "conversation", "c1"), ("marts", "conversation", "c2")]


#: What a home of the first version can hold, which had no table ops.absences.
_ODD_IDS = """
    INSERT INTO raw.records BY NAME
    SELECT 'conversations' AS stream, 'v' || chr(0) AS record_id, 'ch' AS parent_id, 1 AS seq,
        'upsert' AS op, '{"id": "v\\u0000"}'::JSON AS payload, now() AS fetched_at;
    INSERT INTO core.conversations BY NAME
    SELECT unnest(['v' || chr(0), 'a', 'b']) AS conversation_id,
        unnest(['k', 'k' || chr(0), 'k']) AS contact_id;
    INSERT INTO core.timeline_events BY NAME
    SELECT 'e' AS event_id, 'a' AS conversation_id, 'k' || chr(0) AS contact_id,
        'whatsapp' AS source, TIMESTAMPTZ '2026-11-01 10:00:00Z' AS occurred_at;
    INSERT INTO ops.outdated VALUES ('merge', 'conversation', 'a'), ('merge', 'x', chr(0));
    INSERT INTO ops.cursors BY NAME SELECT 'timelines' AS stream, 'v' || chr(0) AS parent_id;
    DROP TABLE ops.absences;
"""


def test_a_home_with_nul_in_its_ids_is_opened_and_computed(settings: Settings, lake: Lake) -> None:
    lake.write("fill", lambda connection: connection.execute(_ODD_IDS))

    schema.bring_up_to_date(lake)
    merge(lake)
    refresh(lake, settings)

    with lake.reading() as connection:
        found = connection.execute(
            "SELECT c.conversation_id, c.contact_id, m.message_key, s.session_id "
            "FROM core.conversations c LEFT JOIN core.messages m USING (conversation_id) "
            "LEFT JOIN marts.conversation_sessions s USING (conversation_id) ORDER BY ALL"
        ).fetchall()
        rejects = connection.execute("SELECT stream, reason, raw FROM ops.rejects").fetchall()
        left = connection.execute("FROM raw.records UNION ALL BY NAME FROM ops.cursors").fetchall()
    assert found == [("a", None, "e", "a:1"), ("b", "k", None, None)]
    assert rejects == [("conversations", "missing_id", '{"id": "v\\u0000"}')]
    assert left == []
