"""People: what agents and AI agents did."""

from page.view import Column, Drill, Part, View

# Only proven senders count; see marts.agent_daily.
_WORK = """
    SELECT acting_user_id AS agent_id, conversation_id, true AS is_message,
        NULL::DOUBLE AS seconds
    FROM {outbound}
    WHERE acting_user_id IS NOT NULL AND status IS DISTINCT FROM 'failed'
    UNION ALL
    SELECT handler_id, conversation_id, false, duration_seconds
    FROM {calls} WHERE handler_id IS NOT NULL AND is_completed
"""
_ROWS = f"""
    SELECT coalesce(w.agent_id, a.agent_id) AS agent_id,
        coalesce(u.is_ai_agent, false) AS is_ai_agent,
        coalesce(messages_sent, 0) AS messages_sent,
        coalesce(conversations, 0) AS conversations,
        coalesce(turns_answered, 0) AS turns_answered,
        median_response_seconds, p90_response_seconds,
        coalesce(answered_calls, 0) AS answered_calls,
        coalesce(talked_seconds, 0) AS talked_seconds
    FROM (
        SELECT agent_id, count(*) FILTER (is_message) AS messages_sent,
            count(DISTINCT conversation_id) AS conversations,
            count(*) FILTER (NOT is_message) AS answered_calls,
            sum(seconds) AS talked_seconds
        FROM ({_WORK}) GROUP BY ALL
    ) w
    FULL JOIN (
        SELECT user_id AS agent_id, count({{response_seconds}}) AS turns_answered,
            median({{response_seconds}}) AS median_response_seconds,
            quantile_cont({{response_seconds}}, 0.9) AS p90_response_seconds
        FROM {{answers}} WHERE user_id IS NOT NULL GROUP BY ALL
    ) a ON a.agent_id = w.agent_id
    LEFT JOIN core.users u ON u.user_id = coalesce(w.agent_id, a.agent_id)
    ORDER BY messages_sent DESC, agent_id
"""
_BEHIND = f"""
    SELECT conversation_id FROM ({_WORK}) WHERE agent_id = $pick_agent_id
    UNION
    SELECT conversation_id FROM {{answers}} WHERE user_id = $pick_agent_id
"""
_COLUMNS = (
    Column("agent_id", "agent"),
    Column("is_ai_agent", "flag"),
    Column("messages_sent", "count"),
    Column("conversations", "count"),
    Column("turns_answered", "count"),
    Column("median_response_seconds", "seconds", unknown="none_answered"),
    Column("p90_response_seconds", "seconds", unknown="none_answered"),
    Column("answered_calls", "count"),
    Column("talked_seconds", "seconds"),
)

VIEW = View(
    name="people",
    order=8,
    metrics=("message_origin", "response_time", "business_seconds", "reporting_day"),
    options=("clock",),
    parts=(
        Part(
            name="work",
            picture="table",
            sql=_ROWS,
            columns=_COLUMNS,
            drill=Drill(("agent_id",), _BEHIND),
        ),
        Part(
            name="messages",
            picture="ranking",
            sql=_ROWS,
            columns=_COLUMNS,
            x="agent_id",
            series=("messages_sent",),
            drill=Drill(("agent_id",), _BEHIND),
        ),
        Part(
            name="speed",
            picture="ranking",
            sql=f"""
                FROM ({_ROWS}) WHERE turns_answered > 0
                ORDER BY median_response_seconds, agent_id
            """,
            columns=_COLUMNS,
            x="agent_id",
            series=("median_response_seconds", "p90_response_seconds"),
            drill=Drill(("agent_id",), _BEHIND),
        ),
        Part(
            name="unproven",
            picture="figures",
            sql="""
                SELECT
                    count(*) FILTER (acting_user_id IS NOT NULL) AS messages_of_agents,
                    count(*) FILTER (acting_user_id IS NULL AND origin IN ('agent', 'ai'))
                        AS messages_without_sender,
                    count(*) FILTER (origin IN ('template', 'automatic')) AS messages_by_machines
                FROM {outbound} WHERE status IS DISTINCT FROM 'failed'
            """,
            columns=(
                Column("messages_of_agents", "count"),
                Column("messages_without_sender", "count"),
                Column("messages_by_machines", "count"),
            ),
        ),
    ),
)
