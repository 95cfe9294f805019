-- Messages and calls of the conversations in scope, in order, each in its session.
--
-- grain: conversation_id, place
--
-- conversation_id VARCHAR: the conversation
-- place BIGINT: counts within the conversation, in the order of things, from 1
-- moment TIMESTAMPTZ: when
-- event_key VARCHAR: the message or call
-- is_message BOOLEAN: a message, else a call
-- session_number BIGINT: counts within the conversation, from 1
-- opens_session BOOLEAN: the first of its session
-- handled_by VARCHAR: agent or ai, who wrote it to the customer or took the call; else NULL
WITH together AS (
    SELECT
        conversation_id, moment, tie, message_key AS event_key, true AS is_message, channel_id,
        contact_id, direction, origin, user_id, is_inbound, is_reaction, is_reply, is_charged,
        NULL::BOOLEAN AS is_completed, worked_us, deleted_at,
        CASE WHEN is_reply THEN origin END AS handled_by
    FROM temp.messages
    WHERE conversation_id <> ''
    UNION ALL BY NAME
    SELECT
        conversation_id, started_at AS moment, coalesce(event_id, call_key) AS tie,
        call_key AS event_key, false AS is_message, channel_id, contact_id, direction,
        false AS is_inbound, false AS is_reaction, false AS is_reply, is_completed, deleted_at,
        CASE WHEN is_completed THEN CASE WHEN is_ai_call THEN 'ai' ELSE 'agent' END END AS handled_by
    FROM core.calls
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
        AND in_calendar(started_at)
), apart AS (
    SELECT * EXCLUDE (tie), row_number() OVER in_order AS place, coalesce(
        epoch_us(moment) - lag(epoch_us(moment)) OVER in_order > getvariable('session_gap_us'), true
    ) AS opens_session
    FROM together
    WINDOW in_order AS (PARTITION BY conversation_id ORDER BY moment, tie, event_key)
)
SELECT *, (sum(opens_session::INTEGER) OVER in_order)::BIGINT AS session_number
FROM apart
WINDOW in_order AS (PARTITION BY conversation_id ORDER BY place)
