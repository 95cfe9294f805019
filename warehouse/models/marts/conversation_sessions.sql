-- A session: messages and calls of a conversation with no silence longer than
-- HATIF_SESSION_GAP_HOURS between.
--
-- Failed outbound messages count as messages and keep a session going; they answer nothing.
--
-- Metrics: {metric:session}, {metric:first_response_time}, {metric:unanswered_session},
-- {metric:hand_over}, {metric:resolved_by_ai}.
--
-- grain: session_id
-- subject: conversations
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
-- handed_over_at TIMESTAMPTZ: when a person took over from an AI: wrote, took a call or was assigned
-- after the AI first did; NULL if none did
-- is_resolved_by_ai BOOLEAN: an AI answered, the last turn has an answer, and no person was involved
-- until 24 hours after its end
-- reopened_at TIMESTAMPTZ: the start of the next session, if the customer began it within 72 hours
-- after the end of this one
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
        count(*) FILTER (is_charged) AS charged_messages,
        min(moment) FILTER (handled_by = 'ai') AS ai_at,
        min(place) FILTER (handled_by = 'ai') AS ai_place,
        min(moment) FILTER (handled_by = 'agent') AS person_at
    FROM temp.events
    GROUP BY conversation_id, session_number
), handed AS (
    SELECT e.conversation_id, e.session_number, min(e.moment) AS handed_over_at
    FROM temp.events e
    JOIN (FROM spans WHERE ai_place IS NOT NULL) s USING (conversation_id, session_number)
    WHERE e.handled_by = 'agent' AND e.place > s.ai_place
    GROUP BY ALL
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
    SELECT s.conversation_id, s.session_number, count(*) AS assignments,
        min(a.assigned_at) FILTER (
            a.assigned_user_id IS NOT NULL AND a.assigned_ai_agent_id IS NULL
            AND a.assigned_at >= s.ai_at
        ) AS given_to_person_at
    FROM (
        SELECT conversation_id, assigned_at, assigned_user_id, assigned_ai_agent_id
        FROM core.assignments
        WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    ) a
    ASOF JOIN spans s
        ON s.conversation_id = a.conversation_id AND a.assigned_at >= s.started_at
    GROUP BY ALL
)
SELECT
    conversation_id || ':' || session_number AS session_id,
    s.* EXCLUDE (charged_messages, ai_at, ai_place, person_at),
    local_date(started_at) AS started_on,
    a.* EXCLUDE (conversation_id, session_number, human_answered_at, customer_turns,
        answered_turns, is_unanswered),
    (epoch_us(human_answered_at) - epoch_us(first_inbound_at)) / 1e6
        AS first_human_response_seconds,
    coalesce(customer_turns, 0) AS customer_turns,
    coalesce(answered_turns, 0) AS answered_turns,
    coalesce(assignments, 0) AS assignments,
    coalesce(is_unanswered, false) AS is_unanswered,
    charged_messages,
    least(handed_over_at, given_to_person_at) AS handed_over_at,
    ai_at IS NOT NULL AND coalesce(answered_turns > 0 AND NOT is_unanswered, false)
        AND person_at IS NULL AND given_to_person_at IS NULL
        AND coalesce(min(person_at) OVER later > ended_at + INTERVAL 24 HOURS, true)
        AS is_resolved_by_ai,
    CASE WHEN lead(opened_by) OVER in_order = 'inbound'
        AND lead(started_at) OVER in_order <= ended_at + INTERVAL 72 HOURS
        THEN lead(started_at) OVER in_order END AS reopened_at
FROM spans s
LEFT JOIN answers a USING (conversation_id, session_number)
LEFT JOIN assigned USING (conversation_id, session_number)
LEFT JOIN handed USING (conversation_id, session_number)
WINDOW in_order AS (PARTITION BY conversation_id ORDER BY session_number),
    later AS (PARTITION BY conversation_id ORDER BY session_number
        ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
