-- A call with what reports group by: its session, its day and hour in HATIF_TIMEZONE, and who took
-- or made it. Its recording, summary and rating are in `core.calls`.
--
-- Metrics: {metric:session}, {metric:missed_calls}.
--
-- grain: call_key
-- subject: calls
-- view: yes
--
-- call_key VARCHAR: the call
-- conversation_id VARCHAR: the conversation
-- session_id VARCHAR: its session; NULL without a conversation or a time
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact
-- direction VARCHAR: inbound or outbound
-- status VARCHAR: completed, missed, no_answer, …
-- is_answered BOOLEAN: a pick-up time is known
-- is_completed BOOLEAN: its final status is completed; NULL while none is known
-- is_missed BOOLEAN: inbound, and ended without being completed; NULL while no end is known
-- user_id VARCHAR: the user or AI agent who took or made it, where known
-- is_ai_call BOOLEAN: an AI agent handled it
-- started_at TIMESTAMPTZ: when it began
-- started_on DATE: reporting day of started_at
-- started_hour BIGINT: hour of that day, 0 to 23
-- duration_seconds DOUBLE: how long it lasted, seconds
-- ringing_seconds DOUBLE: how long it rang, seconds
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH placed AS (
    SELECT
        c.*,
        CASE
            WHEN started_at >= TIMESTAMPTZ '0001-01-03 00:00:00+00'
                AND started_at < TIMESTAMPTZ '9999-12-29 00:00:00+00'
                THEN timezone((SELECT value FROM ops.home WHERE key = 'timezone'), started_at)
        END AS local_time
    FROM core.calls c
)
SELECT
    c.call_key,
    c.conversation_id,
    CASE WHEN c.started_at <= s.ended_at THEN s.session_id END AS session_id,
    c.channel_id,
    c.contact_id,
    c.direction,
    c.status,
    c.is_answered,
    c.is_completed,
    c.direction = 'inbound' AND NOT c.is_completed AS is_missed,
    CASE WHEN c.is_ai_call THEN coalesce(c.ai_agent_id, c.user_id)
        ELSE coalesce(c.user_id, c.ai_agent_id) END AS user_id,
    c.is_ai_call,
    c.started_at,
    TRY_CAST(c.local_time AS DATE) AS started_on,
    hour(c.local_time) AS started_hour,
    c.duration_seconds,
    c.ringing_seconds,
    c.deleted_at
FROM placed c
ASOF LEFT JOIN marts.conversation_sessions s
    ON s.conversation_id = c.conversation_id AND c.started_at >= s.started_at
