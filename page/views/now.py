"""Now: who waits, longest first; what nobody has; calls to return; today so far."""

from page.view import Column, Drill, Part, View

# Still worth an answer: the window is open, or the customer wrote within the last seven days.
_RECENT = "service_window_closes_at > $now - INTERVAL 6 DAY"
# Missed, and since then neither answered at another try nor called back.
_MISSED = """
    SELECT c.conversation_id, c.contact_id, c.channel_id, c.started_at, c.ringing_seconds
    FROM {all_calls} c
    WHERE c.direction = 'inbound' AND NOT c.is_completed AND c.deleted_at IS NULL
        AND c.started_at BETWEEN $now - INTERVAL 7 DAY AND $now
        AND NOT EXISTS (
            SELECT 1 FROM core.calls later
            WHERE later.contact_id = c.contact_id AND later.started_at > c.started_at
                AND (later.direction = 'outbound' OR later.is_completed)
        )
"""
_SO_FAR = """
    FROM {all_messages} m
    WHERE m.direction = 'inbound'
        AND m.sent_at >= ($today - 7)::TIMESTAMP AT TIME ZONE $timezone AND m.sent_at <= $now
"""

VIEW = View(
    name="now",
    order=1,
    is_current=True,
    metrics=("waiting_since", "service_window", "missed_calls"),
    options=("waiting",),
    parts=(
        Part(
            name="state",
            picture="figures",
            sql=f"""
                SELECT
                    count(*) FILTER ({_RECENT}) AS waiting,
                    count(*) FILTER (service_window_closes_at > $now) AS waiting_in_window,
                    count(*) FILTER ({_RECENT} AND user_id IS NULL) AS waiting_unassigned,
                    (epoch_us($now) - epoch_us(min(waiting_since) FILTER ({_RECENT}))) / 1e6
                        AS longest_wait_seconds,
                    count(*) FILTER (NOT coalesce({_RECENT}, false)) AS waiting_silent,
                    (SELECT count(*) FROM ({_MISSED})) AS calls_to_return
                FROM {{waiting}}
            """,
            columns=(
                Column("waiting", "count"),
                Column("waiting_in_window", "count"),
                Column("waiting_unassigned", "count"),
                Column("longest_wait_seconds", "seconds", unknown="nobody_waits"),
                Column("waiting_silent", "count"),
                Column("calls_to_return", "count"),
            ),
        ),
        Part(
            name="today",
            picture="figures",
            sql=f"""
                SELECT
                    count(*) FILTER (date = $today) AS inbound_messages,
                    count(DISTINCT conversation_id) FILTER (date = $today) AS conversations,
                    count(*) FILTER (date = $today - 7 AND sent_at <= $now - INTERVAL 7 DAY)
                        AS inbound_messages_week_ago,
                    count(DISTINCT conversation_id)
                        FILTER (date = $today - 7 AND sent_at <= $now - INTERVAL 7 DAY)
                        AS conversations_week_ago
                {_SO_FAR}
            """,
            columns=(
                Column("inbound_messages", "count"),
                Column("conversations", "count"),
                Column("inbound_messages_week_ago", "count"),
                Column("conversations_week_ago", "count"),
            ),
        ),
        Part(
            name="waiting",
            picture="table",
            sql=f"""
                SELECT w.conversation_id, c.name AS contact, w.channel_id, w.assignee,
                    w.waiting_since, (epoch_us($now) - epoch_us(w.waiting_since)) / 1e6
                        AS waited_seconds,
                    w.service_window_closes_at,
                    coalesce(w.service_window_closes_at > $now, false) AS is_window_open,
                    array_to_string(w.tags, ', ') AS tags
                FROM {{waiting}} w
                LEFT JOIN core.contacts c USING (contact_id)
                WHERE $waiting = 'all' OR w.{_RECENT}
                ORDER BY w.waiting_since, w.conversation_id
            """,
            columns=(
                Column("conversation_id", "conversation"),
                Column("contact", "text"),
                Column("channel_id", "channel"),
                Column("assignee", "text", unknown="unassigned"),
                Column("waiting_since", "instant"),
                Column("waited_seconds", "seconds"),
                Column("service_window_closes_at", "instant"),
                Column("is_window_open", "flag"),
                Column("tags", "text"),
            ),
        ),
        Part(
            name="missed",
            picture="table",
            sql=f"""
                SELECT m.conversation_id, c.name AS contact, m.channel_id, m.started_at,
                    m.ringing_seconds
                FROM ({_MISSED}) m
                LEFT JOIN core.contacts c USING (contact_id)
                ORDER BY m.started_at DESC, m.conversation_id
            """,
            columns=(
                Column("conversation_id", "conversation", unknown="no_conversation"),
                Column("contact", "text"),
                Column("channel_id", "channel"),
                Column("started_at", "instant"),
                Column("ringing_seconds", "seconds", unknown="no_webhook"),
            ),
        ),
        Part(
            name="hours",
            picture="bars",
            sql=f"""
                SELECT h.hour, count(m.date) FILTER (m.date = $today) AS today,
                    count(m.date) FILTER (m.date = $today - 7) AS week_ago
                FROM (SELECT unnest(range(24))::INTEGER AS hour) h
                LEFT JOIN (
                    SELECT date, hour(sent_at AT TIME ZONE $timezone)::INTEGER AS hour
                    {_SO_FAR} AND date IN ($today, $today - 7)
                ) m USING (hour)
                GROUP BY ALL
                ORDER BY h.hour
            """,
            columns=(
                Column("hour", "hour"),
                Column("today", "count"),
                Column("week_ago", "count"),
            ),
            x="hour",
            series=("today", "week_ago"),
            drill=Drill(
                ("hour",),
                f"""
                SELECT DISTINCT conversation_id {_SO_FAR}
                    AND date = $today AND hour(sent_at AT TIME ZONE $timezone) = $pick_hour
                """,
            ),
        ),
    ),
)
