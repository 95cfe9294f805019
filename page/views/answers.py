"""Answers: how fast customers are answered, by whom, and who never was."""

from page.view import Column, Drill, Part, View

# Index and upper end in seconds of each band; the last but one is open, the last never answered.
_BAND = """
    CASE
        WHEN {response_seconds} IS NULL THEN 7
        WHEN {response_seconds} <= 30 THEN 0
        WHEN {response_seconds} <= 120 THEN 1
        WHEN {response_seconds} <= 300 THEN 2
        WHEN {response_seconds} <= 600 THEN 3
        WHEN {response_seconds} <= 1800 THEN 4
        WHEN {response_seconds} <= 3600 THEN 5
        ELSE 6
    END
"""
_NAMES = "['30s', '2m', '5m', '10m', '30m', '1h', 'more', 'never']"
_TIMES = """
    count(*) AS turns,
    count({response_seconds}) AS turns_answered,
    median({response_seconds}) AS median_response_seconds,
    quantile_cont({response_seconds}, 0.9) AS p90_response_seconds,
    count(*) FILTER ({response_seconds} <= $target) / nullif(count(*), 0) AS in_target_share
"""
_TIME_COLUMNS = (
    Column("turns", "count"),
    Column("turns_answered", "count"),
    Column("median_response_seconds", "seconds", unknown="never_answered"),
    Column("p90_response_seconds", "seconds", unknown="never_answered"),
    Column("in_target_share", "share"),
)

VIEW = View(
    name="answers",
    order=3,
    metrics=(
        "customer_turn",
        "response_time",
        "first_response_time",
        "business_seconds",
        "unanswered_session",
        "message_origin",
    ),
    options=("target", "clock"),
    parts=(
        Part(
            name="turns",
            picture="figures",
            compared=True,
            sql=f"""
                SELECT {_TIMES},
                    count(late_response_seconds) AS answered_late,
                    count(*) - count({{response_seconds}}) AS never_answered
                FROM {{turns}}
            """,
            columns=(
                *_TIME_COLUMNS,
                Column("answered_late", "count"),
                Column("never_answered", "count"),
            ),
        ),
        Part(
            name="first",
            picture="figures",
            compared=True,
            sql="""
                SELECT
                    count(*) FILTER (first_inbound_at IS NOT NULL) AS sessions_to_answer,
                    median({first_response_seconds}) AS median_first_response_seconds,
                    quantile_cont({first_response_seconds}, 0.9) AS p90_first_response_seconds,
                    median(first_human_response_seconds) AS median_first_human_response_seconds,
                    count(*) FILTER (is_unanswered) AS unanswered_sessions,
                    count(*) FILTER (first_responder = 'ai') AS started_by_ai,
                    count(*) FILTER (
                        first_responder = 'ai' AND first_human_response_seconds IS NOT NULL
                    ) / nullif(count(*) FILTER (first_responder = 'ai'), 0) AS handed_over_share
                FROM {sessions}
                LEFT JOIN (
                    SELECT session_id, arg_min_null(response_business_seconds_any, turn_number)
                        AS first_response_business_seconds_any
                    FROM marts.response_times WHERE turn_started_on >= $from GROUP BY ALL
                ) USING (session_id)
            """,
            columns=(
                Column("sessions_to_answer", "count"),
                Column("median_first_response_seconds", "seconds", unknown="never_answered"),
                Column("p90_first_response_seconds", "seconds", unknown="never_answered"),
                Column("median_first_human_response_seconds", "seconds", unknown="no_human"),
                Column("unanswered_sessions", "count"),
                Column("started_by_ai", "count"),
                Column("handed_over_share", "share", unknown="no_ai"),
            ),
        ),
        Part(
            name="over_time",
            picture="lines",
            sql=f"""
                SELECT b.bucket, t.* EXCLUDE (bucket)
                FROM {{buckets}} b
                LEFT JOIN (
                    SELECT {{bucket}} AS bucket, {_TIMES} FROM {{turns}} GROUP BY ALL
                ) t USING (bucket)
                ORDER BY b.bucket
            """,
            columns=(Column("bucket", "bucket"), *_TIME_COLUMNS),
            x="bucket",
            series=("median_response_seconds", "p90_response_seconds"),
            drill=Drill.into("turns", bucket="{bucket}"),
        ),
        Part(
            name="bands",
            picture="bars",
            sql=f"""
                SELECT b.band, coalesce(t.turns, 0) AS turns,
                    coalesce(t.turns, 0) / nullif(sum(t.turns) OVER (), 0) AS turns_share
                FROM (
                    SELECT unnest(range(8))::INTEGER AS number, unnest({_NAMES}) AS band
                ) b
                LEFT JOIN (
                    SELECT ({_BAND})::INTEGER AS number, count(*) AS turns
                    FROM {{turns}} GROUP BY ALL
                ) t USING (number)
                ORDER BY b.number
            """,
            columns=(
                Column("band", "word"),
                Column("turns", "count"),
                Column("turns_share", "share"),
            ),
            x="band",
            series=("turns",),
            drill=Drill.into("turns", band=f"{_NAMES}[({_BAND})::INTEGER + 1]"),
        ),
        Part(
            name="by_origin",
            picture="table",
            sql=f"""
                SELECT coalesce(responder_origin, late_responder_origin) AS responder, {_TIMES}
                FROM {{turns}}
                WHERE response_seconds_any IS NOT NULL
                GROUP BY ALL ORDER BY turns DESC, responder
            """,
            columns=(Column("responder", "word", unknown="no_sender"), *_TIME_COLUMNS),
            drill=Drill.into(
                "turns",
                "response_seconds_any IS NOT NULL",
                responder="coalesce(responder_origin, late_responder_origin)",
            ),
        ),
        Part(
            name="by_agent",
            picture="ranking",
            sql=f"""
                SELECT user_id AS agent_id, {_TIMES}
                FROM {{turns}}
                WHERE response_seconds_any IS NOT NULL
                GROUP BY ALL ORDER BY turns DESC, agent_id
            """,
            columns=(Column("agent_id", "agent", unknown="no_sender"), *_TIME_COLUMNS),
            x="agent_id",
            series=("median_response_seconds",),
            drill=Drill.into("turns", "response_seconds_any IS NOT NULL", agent_id="user_id"),
        ),
        Part(
            name="by_channel",
            picture="ranking",
            sql=f"""
                SELECT channel_id, {_TIMES} FROM {{turns}}
                GROUP BY ALL ORDER BY turns DESC, channel_id
            """,
            columns=(Column("channel_id", "channel"), *_TIME_COLUMNS),
            x="channel_id",
            series=("median_response_seconds",),
            drill=Drill.into("turns", channel_id="channel_id"),
        ),
    ),
)
