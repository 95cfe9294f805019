-- A session: messages and calls of a conversation with no silence longer than
-- HATIF_SESSION_GAP_HOURS between.
--
-- Failed outbound messages count as messages and keep a session going; they answer nothing.
--
-- Metrics: {metric:session}, {metric:first_response_time}, {metric:unanswered_session}.
--
-- grain: session_id
-- scope: conversation
-- sorted: conversation_id
--
-- session_id VARCHAR: conversation_id:session_number
-- conversation_id VARCHAR: the conversation
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact
-- session_number BIGINT: counts within the conversation, from 1
-- started_at TIMESTAMPTZ: its first message or call
-- started_on DATE: the same as a reporting day
-- ended_at TIMESTAMPTZ: its last message or call
-- opened_by VARCHAR: inbound or outbound, the direction of its first message or call
-- inbound_messages BIGINT: messages of the customer
-- outbound_messages BIGINT: messages of ours, failed ones too
-- reactions BIGINT: of both, reactions: they open, answer and split no turn
-- calls BIGINT: calls, either direction
-- answered_calls BIGINT: of these, completed
-- first_inbound_at TIMESTAMPTZ: the customer's first message that is no reaction
-- first_response_at TIMESTAMPTZ: the first message of an agent or AI after it
-- first_response_seconds DOUBLE: between the two, seconds
-- first_response_business_seconds DOUBLE: those inside business hours
-- first_responder VARCHAR: agent or ai
-- first_human_response_seconds DOUBLE: the same with agents only, seconds
-- first_responder_user_id VARCHAR: user or AI agent who responded first, where known
-- customer_turns BIGINT: runs of customer messages with no agent or AI between
-- answered_turns BIGINT: of these, answered in this session
-- median_response_seconds DOUBLE: over turns answered in this session
-- median_response_seconds_any DOUBLE: over all its turns that were answered, late ones too
-- first_response_seconds_any DOUBLE: first_response_seconds, else that of the late answer to the
-- session's only turn
-- assignments BIGINT: assignments from its start until the next session's
-- is_unanswered BOOLEAN: it has a turn, and its last one has no answer in the session
-- charged_messages BIGINT: messages that surely cost something
WITH spans AS (
    SELECT
        conversation_id,
        session_number,
        min(channel_id) AS channel_id,
        min(contact_id) AS contact_id,
        min(moment) AS started_at,
        max(moment) AS ended_at,
        min(direction) FILTER (opens_session) AS opened_by,
        count(*) FILTER (is_inbound) AS inbound_messages,
        count(*) FILTER (is_message AND direction = 'outbound') AS outbound_messages,
        count(*) FILTER (NOT is_message) AS calls,
        count(*) FILTER (is_completed) AS answered_calls,
        min(moment) FILTER (is_inbound AND NOT is_reaction) AS first_inbound_at,
        count(*) FILTER (is_reaction) AS reactions,
        count(*) FILTER (is_charged) AS charged_messages
    FROM temp.events
    GROUP BY conversation_id, session_number
), places AS (
    SELECT *, turn_number = min(turn_number) OVER session AS is_first,
        turn_number = max(turn_number) OVER session AS is_last
    FROM temp.turns
    WINDOW session AS (PARTITION BY conversation_id, session_number)
), answers AS (
    SELECT
        conversation_id,
        session_number,
        count(*) AS customer_turns,
        count(*) FILTER (NOT is_late) AS answered_turns,
        median(seconds) FILTER (NOT is_late) AS median_response_seconds,
        median(seconds) AS median_response_seconds_any,
        min(answered_at) FILTER (is_first AND NOT is_late) AS first_response_at,
        min(seconds) FILTER (is_first AND NOT is_late) AS first_response_seconds,
        min(seconds) FILTER (is_first) AS first_response_seconds_any,
        min(business_seconds) FILTER (is_first AND NOT is_late) AS first_response_business_seconds,
        min(answer_origin) FILTER (is_first AND NOT is_late) AS first_responder,
        min(answer_user_id) FILTER (is_first AND NOT is_late) AS first_responder_user_id,
        min(human_answered_at) AS human_answered_at,
        bool_or(is_last AND coalesce(is_late, true)) AS is_unanswered
    FROM places
    GROUP BY conversation_id, session_number
), assigned AS (
    SELECT s.conversation_id, s.session_number, count(*) AS assignments
    FROM (
        SELECT conversation_id, assigned_at FROM core.assignments
        WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    ) a
    ASOF JOIN spans s
        ON s.conversation_id = a.conversation_id AND a.assigned_at >= s.started_at
    GROUP BY ALL
)
SELECT
    conversation_id || ':' || session_number AS session_id,
    s.* EXCLUDE (charged_messages),
    local_date(started_at) AS started_on,
    a.* EXCLUDE (conversation_id, session_number, human_answered_at, customer_turns,
        answered_turns, is_unanswered),
    (epoch_us(human_answered_at) - epoch_us(first_inbound_at)) / 1e6
        AS first_human_response_seconds,
    coalesce(customer_turns, 0) AS customer_turns,
    coalesce(answered_turns, 0) AS answered_turns,
    coalesce(assignments, 0) AS assignments,
    coalesce(is_unanswered, false) AS is_unanswered,
    charged_messages
FROM spans s
LEFT JOIN answers a USING (conversation_id, session_number)
LEFT JOIN assigned USING (conversation_id, session_number)
