-- A customer turn: messages of a customer with no message of an agent or AI between, and its answer.
--
-- Lead with `response_seconds_any`: without late answers a weekend would make agents look fast.
--
-- Metrics: {metric:customer_turn}, {metric:message_origin}, {metric:response_time}, {metric:business_seconds}.
--
-- grain: conversation_id, turn_number
-- subject: conversations
-- scope: conversation
-- sorted: conversation_id
--
-- conversation_id VARCHAR: the conversation
-- turn_number BIGINT: counts within the conversation, from 1
-- session_id VARCHAR: the session it lies in
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact
-- customer_messages BIGINT: messages of the turn
-- turn_started_at TIMESTAMPTZ: its first message
-- turn_started_on DATE: the same as a reporting day
-- responded_at TIMESTAMPTZ: the answer in the same session
-- response_seconds DOUBLE: from the turn's first message to that answer, seconds
-- response_business_seconds DOUBLE: those inside business hours
-- responder_origin VARCHAR: agent or ai, who answered in the session
-- responder_user_id VARCHAR: user or AI agent who did, where known
-- late_responded_at TIMESTAMPTZ: the answer in a later session, before the customer's next turn
-- late_response_seconds DOUBLE: from the turn's first message to the late answer, seconds
-- late_response_business_seconds DOUBLE: those inside business hours
-- late_responder_origin VARCHAR: agent or ai, who answered late
-- late_responder_user_id VARCHAR: user or AI agent who did, where known
-- response_seconds_any DOUBLE: in the session, else late; NULL = never answered
-- response_business_seconds_any DOUBLE: those inside business hours
-- answered_on DATE: reporting day of the answer, in the session or late
SELECT
    conversation_id,
    turn_number,
    conversation_id || ':' || session_number AS session_id,
    channel_id,
    contact_id,
    customer_messages,
    started_at AS turn_started_at,
    local_date(started_at) AS turn_started_on,
    CASE WHEN NOT is_late THEN answered_at END AS responded_at,
    CASE WHEN NOT is_late THEN seconds END AS response_seconds,
    CASE WHEN NOT is_late THEN business_seconds END AS response_business_seconds,
    CASE WHEN NOT is_late THEN answer_origin END AS responder_origin,
    CASE WHEN NOT is_late THEN answer_user_id END AS responder_user_id,
    CASE WHEN is_late THEN answered_at END AS late_responded_at,
    CASE WHEN is_late THEN seconds END AS late_response_seconds,
    CASE WHEN is_late THEN business_seconds END AS late_response_business_seconds,
    CASE WHEN is_late THEN answer_origin END AS late_responder_origin,
    CASE WHEN is_late THEN answer_user_id END AS late_responder_user_id,
    seconds AS response_seconds_any,
    business_seconds AS response_business_seconds_any,
    local_date(answered_at) AS answered_on
FROM temp.turns
