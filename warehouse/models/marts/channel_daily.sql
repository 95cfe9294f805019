-- What happened on a channel on a day.
--
-- Metrics: {metric:first_response_time}, {metric:unanswered_session}, {metric:missed_calls}.
--
-- grain: date, channel_id
-- subject: conversations
-- scope: day
--
-- date DATE: reporting day: messages by sent_at, calls and sessions by started_at
-- channel_id VARCHAR: the channel
-- sessions_started BIGINT: sessions that started
-- inbound_messages BIGINT: messages of customers
-- outbound_messages BIGINT: messages of ours, failed ones too
-- contacts_active BIGINT: contacts who wrote or called
-- median_first_response_seconds DOUBLE: of the sessions that started, answered in the session
-- median_first_response_seconds_any DOUBLE: late answers too; lead with this one
-- unanswered_sessions BIGINT: of the sessions that started, those whose last turn has no answer
-- calls BIGINT: calls, either direction
-- missed_calls BIGINT: inbound calls that ended without being completed
WITH counted AS (
    SELECT
        date,
        channel_id,
        count(*) FILTER (is_message AND direction = 'inbound') AS inbound_messages,
        count(*) FILTER (is_message AND direction = 'outbound') AS outbound_messages,
        count(DISTINCT contact_id) FILTER (direction = 'inbound') AS contacts_active,
        count(*) FILTER (NOT is_message) AS calls,
        count(*) FILTER (direction = 'inbound' AND NOT is_completed) AS missed_calls
    FROM (
        SELECT date, channel_id, direction, contact_id, true AS is_message,
            NULL::BOOLEAN AS is_completed
        FROM temp.day_messages
        UNION ALL
        SELECT date, channel_id, direction, contact_id, false, is_completed FROM temp.day_calls
    )
    GROUP BY ALL
), started AS (
    SELECT
        started_on AS date,
        channel_id,
        count(*) AS sessions_started,
        count(*) FILTER (is_unanswered) AS unanswered_sessions,
        median(first_response_seconds) AS median_first_response_seconds,
        median(first_response_seconds_any) AS median_first_response_seconds_any
    FROM marts.conversation_sessions
    WHERE started_on IN (SELECT date FROM temp.days_in_scope)
    GROUP BY ALL
)
SELECT
    coalesce(c.date, s.date) AS date,
    coalesce(c.channel_id, s.channel_id) AS channel_id,
    coalesce(sessions_started, 0) AS sessions_started,
    coalesce(inbound_messages, 0) AS inbound_messages,
    coalesce(outbound_messages, 0) AS outbound_messages,
    coalesce(contacts_active, 0) AS contacts_active,
    median_first_response_seconds,
    median_first_response_seconds_any,
    coalesce(unanswered_sessions, 0) AS unanswered_sessions,
    coalesce(calls, 0) AS calls,
    coalesce(missed_calls, 0) AS missed_calls
FROM counted c
FULL JOIN started s ON s.date = c.date AND s.channel_id IS NOT DISTINCT FROM c.channel_id
