"""Volume: messages in and out, conversations, sessions; when customers write."""

from page.view import Column, Drill, Part, View

_HOURS = "hour(sent_at AT TIME ZONE $timezone)::INTEGER"
_WAITED = "hour(turn_started_at AT TIME ZONE $timezone)::INTEGER"

VIEW = View(
    name="volume",
    order=2,
    metrics=("session", "response_time", "reporting_day"),
    options=("clock",),
    parts=(
        Part(
            name="totals",
            picture="figures",
            compared=True,
            sql="""
                SELECT
                    count(*) FILTER (direction = 'inbound') AS inbound_messages,
                    count(*) FILTER (direction = 'outbound') AS outbound_messages,
                    count(DISTINCT conversation_id) AS conversations,
                    count(DISTINCT contact_id) FILTER (direction = 'inbound') AS contacts_writing,
                    (SELECT count(*) FROM {sessions}) AS sessions
                FROM {messages}
            """,
            columns=(
                Column("inbound_messages", "count"),
                Column("outbound_messages", "count"),
                Column("conversations", "count"),
                Column("contacts_writing", "count"),
                Column("sessions", "count"),
            ),
        ),
        Part(
            name="over_time",
            picture="bars",
            sql="""
                SELECT b.bucket, coalesce(inbound_messages, 0) AS inbound_messages,
                    coalesce(outbound_messages, 0) AS outbound_messages,
                    coalesce(sessions, 0) AS sessions
                FROM {buckets} b
                LEFT JOIN (
                    SELECT {bucket} AS bucket,
                        count(*) FILTER (direction = 'inbound') AS inbound_messages,
                        count(*) FILTER (direction = 'outbound') AS outbound_messages
                    FROM {messages} GROUP BY ALL
                ) m USING (bucket)
                LEFT JOIN (
                    SELECT {bucket} AS bucket, count(*) AS sessions FROM {sessions} GROUP BY ALL
                ) s USING (bucket)
                ORDER BY b.bucket
            """,
            columns=(
                Column("bucket", "bucket"),
                Column("inbound_messages", "count"),
                Column("outbound_messages", "count"),
                Column("sessions", "count"),
            ),
            x="bucket",
            series=("inbound_messages", "outbound_messages", "sessions"),
            drill=Drill.into("messages", bucket="{bucket}"),
        ),
        Part(
            name="when_they_write",
            picture="heatmap",
            sql=f"""
                SELECT dayofweek(date)::INTEGER AS weekday, {_HOURS} AS hour,
                    count(*) AS inbound_messages
                FROM {{messages}} WHERE direction = 'inbound' GROUP BY ALL ORDER BY ALL
            """,
            columns=(
                Column("weekday", "weekday"),
                Column("hour", "hour"),
                Column("inbound_messages", "count"),
            ),
            x="hour",
            y="weekday",
            series=("inbound_messages",),
            drill=Drill.into(
                "messages", "direction = 'inbound'", weekday="dayofweek(date)", hour=_HOURS
            ),
        ),
        Part(
            name="how_long_they_wait",
            picture="heatmap",
            sql=f"""
                SELECT dayofweek(date)::INTEGER AS weekday, {_WAITED} AS hour,
                    median({{response_seconds}}) AS median_response_seconds,
                    count({{response_seconds}}) AS turns_answered, count(*) AS turns
                FROM {{turns}} GROUP BY ALL ORDER BY ALL
            """,
            columns=(
                Column("weekday", "weekday"),
                Column("hour", "hour"),
                Column("median_response_seconds", "seconds", unknown="never_answered"),
                Column("turns_answered", "count"),
                Column("turns", "count"),
            ),
            x="hour",
            y="weekday",
            series=("median_response_seconds",),
            drill=Drill.into("turns", weekday="dayofweek(date)", hour=_WAITED),
        ),
        Part(
            name="by_type",
            picture="ranking",
            sql="""
                SELECT message_type, count(*) AS messages,
                    count(*) FILTER (direction = 'inbound') AS inbound_messages,
                    count(*) FILTER (direction = 'outbound') AS outbound_messages
                FROM {messages} GROUP BY ALL ORDER BY messages DESC, message_type
            """,
            columns=(
                Column("message_type", "word", unknown="no_webhook"),
                Column("messages", "count"),
                Column("inbound_messages", "count"),
                Column("outbound_messages", "count"),
            ),
            x="message_type",
            series=("inbound_messages", "outbound_messages"),
            stacked=True,
            drill=Drill.into("messages", message_type="message_type"),
        ),
        Part(
            name="by_channel",
            picture="ranking",
            sql="""
                SELECT channel_id, count(*) AS messages,
                    count(*) FILTER (direction = 'inbound') AS inbound_messages,
                    count(*) FILTER (direction = 'outbound') AS outbound_messages,
                    count(DISTINCT conversation_id) AS conversations
                FROM {messages} GROUP BY ALL ORDER BY messages DESC, channel_id
            """,
            columns=(
                Column("channel_id", "channel"),
                Column("messages", "count"),
                Column("inbound_messages", "count"),
                Column("outbound_messages", "count"),
                Column("conversations", "count"),
            ),
            x="channel_id",
            series=("inbound_messages", "outbound_messages"),
            stacked=True,
            drill=Drill.into("messages", channel_id="channel_id"),
        ),
    ),
)
