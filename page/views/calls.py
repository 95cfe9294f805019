"""Calls: answered, missed, how long they rang, and the service level by each formula's name."""

from page.view import Column, Drill, Part, View

_COUNTS = """
    count(*) AS calls,
    count(*) FILTER (direction = 'inbound') AS inbound_calls,
    count(*) FILTER (is_completed) AS answered_calls,
    count(*) FILTER (direction = 'inbound' AND NOT is_completed) AS missed_calls
"""

VIEW = View(
    name="calls",
    order=5,
    metrics=("missed_calls", "answer_rate", "service_level"),
    parts=(
        Part(
            name="totals",
            picture="figures",
            compared=True,
            sql=f"""
                SELECT {_COUNTS},
                    count(*) FILTER (is_completed) / nullif(count(*), 0) AS answer_rate,
                    median(ringing_seconds) FILTER (direction = 'inbound')
                        AS median_ringing_seconds,
                    sum(duration_seconds) AS talked_seconds
                FROM {{calls}}
            """,
            columns=(
                Column("calls", "count"),
                Column("inbound_calls", "count"),
                Column("answered_calls", "count"),
                Column("missed_calls", "count"),
                Column("answer_rate", "share"),
                Column("median_ringing_seconds", "seconds"),
                Column("talked_seconds", "seconds"),
            ),
        ),
        Part(
            name="over_time",
            picture="bars",
            sql=f"""
                SELECT b.bucket, coalesce(answered_calls, 0) AS answered_calls,
                    coalesce(missed_calls, 0) AS missed_calls, coalesce(calls, 0) AS calls
                FROM {{buckets}} b
                LEFT JOIN (
                    SELECT {{bucket}} AS bucket, {_COUNTS} FROM {{calls}} GROUP BY ALL
                ) c USING (bucket)
                ORDER BY b.bucket
            """,
            columns=(
                Column("bucket", "bucket"),
                Column("answered_calls", "count"),
                Column("missed_calls", "count"),
                Column("calls", "count"),
            ),
            x="bucket",
            series=("answered_calls", "missed_calls"),
            drill=Drill.into("calls", bucket="{bucket}"),
        ),
        Part(
            name="levels",
            picture="table",
            sql="""
                SELECT formula, threshold_seconds, sum(numerator)::BIGINT AS calls_in_time,
                    sum(denominator)::BIGINT AS calls_measured,
                    sum(numerator) / nullif(sum(denominator), 0) AS service_level,
                    sum(unknown_calls)::BIGINT AS unknown_calls
                FROM {levels}
                WHERE threshold_seconds = 20
                GROUP BY ALL ORDER BY formula
            """,
            columns=(
                Column("formula", "word"),
                Column("threshold_seconds", "seconds"),
                Column("calls_in_time", "count"),
                Column("calls_measured", "count"),
                Column("service_level", "share"),
                Column("unknown_calls", "count"),
            ),
        ),
        Part(
            name="when_missed",
            picture="heatmap",
            sql="""
                SELECT dayofweek(date)::INTEGER AS weekday,
                    hour(started_at AT TIME ZONE $timezone)::INTEGER AS hour,
                    count(*) AS missed_calls
                FROM {calls} WHERE direction = 'inbound' AND NOT is_completed
                GROUP BY ALL ORDER BY ALL
            """,
            columns=(
                Column("weekday", "weekday"),
                Column("hour", "hour"),
                Column("missed_calls", "count"),
            ),
            x="hour",
            y="weekday",
            series=("missed_calls",),
            drill=Drill.into(
                "calls",
                "direction = 'inbound' AND NOT is_completed",
                weekday="dayofweek(date)",
                hour="hour(started_at AT TIME ZONE $timezone)",
            ),
        ),
        Part(
            name="by_status",
            picture="ranking",
            sql="""
                SELECT status AS call_status,
                    count(*) FILTER (direction = 'inbound') AS inbound_calls,
                    count(*) FILTER (direction = 'outbound') AS outbound_calls,
                    count(*) AS calls
                FROM {calls} GROUP BY ALL ORDER BY calls DESC, call_status
            """,
            columns=(
                Column("call_status", "word"),
                Column("inbound_calls", "count"),
                Column("outbound_calls", "count"),
                Column("calls", "count"),
            ),
            x="call_status",
            series=("inbound_calls", "outbound_calls"),
            stacked=True,
            drill=Drill.into("calls", call_status="status"),
        ),
    ),
)
