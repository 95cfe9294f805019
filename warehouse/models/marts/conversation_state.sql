-- What the messages and calls of a conversation amount to, of those that the service still has:
-- who waits since when. `marts.conversation_now` shows it beside the conversation itself.
--
-- grain: conversation_id
-- scope: conversation
-- sorted: conversation_id
--
-- conversation_id VARCHAR: the conversation
-- unanswered_since TIMESTAMPTZ: the customer's first message after the last one of an agent or AI
-- last_inbound_at TIMESTAMPTZ: the customer's latest message
-- last_event_at TIMESTAMPTZ: the latest message or call
WITH living AS (
    SELECT
        conversation_id,
        max({'moment': moment, 'tie': tie, 'key': message_key}) FILTER (is_reply) AS last_reply,
        max(moment) FILTER (is_inbound) AS last_inbound_at
    FROM temp.messages
    WHERE deleted_at IS NULL
    GROUP BY conversation_id
), waiting AS (
    SELECT m.conversation_id, min(m.moment) AS unanswered_since
    FROM temp.messages m
    JOIN living l USING (conversation_id)
    WHERE m.is_inbound AND m.deleted_at IS NULL AND (
        l.last_reply IS NULL
        OR {'moment': m.moment, 'tie': m.tie, 'key': m.message_key} > l.last_reply
    )
    GROUP BY m.conversation_id
), touched AS (
    SELECT conversation_id, max(moment) AS last_event_at
    FROM temp.events
    WHERE deleted_at IS NULL
    GROUP BY conversation_id
)
SELECT
    conversation_id,
    unanswered_since,
    last_inbound_at,
    last_event_at
FROM touched
LEFT JOIN living USING (conversation_id)
LEFT JOIN waiting USING (conversation_id)
