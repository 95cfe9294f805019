-- Calls of the days in scope.
--
-- grain: call_key
--
-- date DATE: reporting day, by started_at
-- call_key VARCHAR: the call
-- handler_id VARCHAR: the user or AI agent who took or made it
WITH calls AS (
    SELECT local_date(started_at) AS date, *
    FROM core.calls
    WHERE started_at >= getvariable('days_begin') AND started_at < getvariable('days_end')
        AND in_calendar(started_at)
)
SELECT
    date,
    call_key,
    conversation_id,
    contact_id,
    channel_id,
    direction,
    status,
    is_answered,
    is_completed,
    duration_seconds,
    ringing_seconds,
    CASE WHEN is_ai_call THEN coalesce(ai_agent_id, user_id) ELSE coalesce(user_id, ai_agent_id) END
        AS handler_id,
    coalesce(is_ai_call, user_id IS NULL AND ai_agent_id IS NOT NULL) AS is_ai_call
FROM calls
WHERE date IN (SELECT date FROM temp.days_in_scope)
