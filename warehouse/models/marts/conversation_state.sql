-- What the messages and calls of a conversation amount to, of those that the service still has:
-- who waits since when. `marts.conversation_now` shows it beside the conversation itself.
--
-- grain: conversation_id
-- subject: conversations
-- scope: conversation
-- sorted: conversation_id
--
-- conversation_id VARCHAR: the conversation
-- unanswered_since TIMESTAMPTZ: the customer's first message after the last one of an agent or AI
-- last_inbound_at TIMESTAMPTZ: the customer's latest message
-- last_event_at TIMESTAMPTZ: the latest message or call
WITH living AS (
    SELECT * FROM temp.events WHERE deleted_at IS NULL
), replied AS (
    SELECT conversation_id, max(place) AS place FROM living WHERE is_reply GROUP BY conversation_id
)
SELECT
    conversation_id,
    min(moment) FILTER (is_inbound AND NOT is_reaction AND l.place > coalesce(r.place, 0)) AS unanswered_since,
    max(moment) FILTER (is_inbound) AS last_inbound_at,
    max(moment) AS last_event_at
FROM living l
LEFT JOIN replied r USING (conversation_id)
GROUP BY conversation_id
