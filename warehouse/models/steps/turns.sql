-- Customer turns of the conversations in scope, with the answer of each.
--
-- What answers is the first message of an agent or AI after the turn's last message; a message right
-- after a turn is its only possible answer, in the same session or late.
--
-- grain: conversation_id, turn_number
--
-- conversation_id VARCHAR: the conversation
-- turn_number BIGINT: counts within the conversation, from 1
-- session_number BIGINT: the session it lies in
-- customer_messages BIGINT: messages of the turn
-- started_at TIMESTAMPTZ: its first message
-- answered_at TIMESTAMPTZ: its answer, in whatever session
-- is_late BOOLEAN: the answer came in a later session
-- seconds DOUBLE: from its first message to the answer
-- business_seconds DOUBLE: those inside business hours
-- answer_origin VARCHAR: agent or ai
-- answer_user_id VARCHAR: who answered
-- human_answered_at TIMESTAMPTZ: the first message of an agent after it, before the next turn, in
-- its session
WITH marked AS (
    SELECT
        *,
        is_inbound AND coalesce(
            NOT lag(is_inbound) OVER in_order
            OR lag(session_number) OVER in_order <> session_number, true
        ) AS opens_turn,
        is_reply AND coalesce(lag(is_inbound) OVER in_order, false) AS is_answer
    FROM temp.events
    WHERE (is_inbound AND NOT is_reaction) OR is_reply
    WINDOW in_order AS (PARTITION BY conversation_id ORDER BY place)
), numbered AS (
    SELECT
        *,
        (sum(opens_turn::INTEGER) OVER in_order)::BIGINT AS turn_number,
        max(CASE WHEN is_inbound THEN session_number END) OVER in_order AS turn_session
    FROM marked
    WINDOW in_order AS (PARTITION BY conversation_id ORDER BY place)
), grouped AS (
    SELECT
        conversation_id,
        turn_number,
        max(turn_session) AS session_number,
        count(*) FILTER (is_inbound) AS customer_messages,
        min(moment) FILTER (opens_turn) AS started_at,
        min(worked_us) FILTER (opens_turn) AS started_us,
        min(channel_id) FILTER (opens_turn) AS channel_id,
        min(contact_id) FILTER (opens_turn) AS contact_id,
        min(moment) FILTER (is_answer) AS answered_at,
        min(worked_us) FILTER (is_answer) AS answered_us,
        min(session_number) FILTER (is_answer) AS answer_session,
        min(origin) FILTER (is_answer) AS answer_origin,
        min(user_id) FILTER (is_answer) AS answer_user_id,
        min(moment) FILTER (is_reply AND origin = 'agent' AND session_number = turn_session)
            AS human_answered_at
    FROM numbered
    WHERE turn_number > 0
    GROUP BY conversation_id, turn_number
)
SELECT
    * EXCLUDE (started_us, answered_us, answer_session),
    answer_session > session_number AS is_late,
    (epoch_us(answered_at) - epoch_us(started_at)) / 1e6 AS seconds,
    (answered_us - started_us) / 1e6 AS business_seconds
FROM grouped
