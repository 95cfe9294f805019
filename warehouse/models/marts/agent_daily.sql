-- What an agent or AI agent did on a day.
--
-- Only proven senders count: the timeline's owner of a conversation is no proof, so messages that
-- no webhook reported belong to no agent, unless an AI agent's.
--
-- Metrics: {metric:response_time}, {metric:message_origin}.
--
-- grain: date, user_id
-- subject: conversations
-- scope: day
--
-- date DATE: reporting day: messages by sent_at, calls by started_at, turns by their answer
-- user_id VARCHAR: user or AI agent
-- user_name VARCHAR: name as it is now
-- is_ai_agent BOOLEAN: whether this is an AI agent
-- messages_sent BIGINT: messages that did not fail
-- conversations_handled BIGINT: conversations with such a message, or with a completed call of theirs
-- turns_answered BIGINT: customer turns they answered in the same session
-- median_response_seconds DOUBLE: over these turns
-- p90_response_seconds DOUBLE: 90 % of these turns took no longer
-- turns_answered_any BIGINT: turns they answered, late ones too
-- median_response_seconds_any DOUBLE: over these; lead with this one
-- p90_response_seconds_any DOUBLE: 90 % of these took no longer
-- calls_answered BIGINT: completed calls, either direction
-- call_seconds DOUBLE: length of these, seconds
WITH did AS (
    SELECT date, user_id, conversation_id, origin = 'ai' AS is_ai, true AS is_message,
        NULL::DOUBLE AS seconds
    FROM temp.day_messages
    WHERE user_id IS NOT NULL AND direction = 'outbound' AND status IS DISTINCT FROM 'failed'
    UNION ALL
    SELECT date, handler_id, conversation_id, is_ai_call, false, duration_seconds
    FROM temp.day_calls
    WHERE handler_id IS NOT NULL AND is_completed
), work AS (
    SELECT
        date,
        user_id,
        bool_or(is_ai) AS is_ai,
        count(*) FILTER (is_message) AS messages_sent,
        count(DISTINCT conversation_id) AS conversations_handled,
        count(*) FILTER (NOT is_message) AS calls_answered,
        total_seconds(seconds) AS call_seconds
    FROM did
    GROUP BY date, user_id
), answers AS (
    SELECT
        answered_on AS date,
        coalesce(responder_user_id, late_responder_user_id) AS user_id,
        count(response_seconds) AS turns_answered,
        quantile_cont(response_seconds, [0.5, 0.9]) AS in_session,
        count(*) AS turns_answered_any,
        quantile_cont(response_seconds_any, [0.5, 0.9]) AS ever
    FROM marts.response_times
    WHERE answered_on IN (SELECT date FROM temp.days_in_scope)
        AND coalesce(responder_user_id, late_responder_user_id) IS NOT NULL
    GROUP BY ALL
)
SELECT
    w.date,
    w.user_id,
    u.name AS user_name,
    coalesce(u.is_ai_agent, w.is_ai) AS is_ai_agent,
    messages_sent,
    conversations_handled,
    coalesce(turns_answered, 0) AS turns_answered,
    in_session[1] AS median_response_seconds,
    in_session[2] AS p90_response_seconds,
    coalesce(turns_answered_any, 0) AS turns_answered_any,
    ever[1] AS median_response_seconds_any,
    ever[2] AS p90_response_seconds_any,
    calls_answered,
    call_seconds
FROM work w
LEFT JOIN answers a USING (date, user_id)
LEFT JOIN core.users u USING (user_id)
