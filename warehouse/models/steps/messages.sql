-- Messages of the conversations in scope, with what all metrics need of them. Those that belong to no
-- conversation are here as those of the conversation '': in days and costs, in no session.
--
-- grain: message_key
--
-- message_key VARCHAR: the message
-- conversation_id VARCHAR: its conversation
-- event_id VARCHAR: its timeline event
-- wamid VARCHAR: WhatsApp's own id
-- channel_id VARCHAR: its channel
-- contact_id VARCHAR: its contact
-- direction VARCHAR: inbound or outbound
-- message_type VARCHAR: text, template, …
-- template_text VARCHAR: its text, where it is or may be a template of ours
-- moment TIMESTAMPTZ: its own time
-- tie VARCHAR: orders what happened at the same instant
-- status VARCHAR: pending, sent, delivered, read or failed
-- arrived_at TIMESTAMPTZ: the earlier of delivered_at and read_at; NULL outside the calendar
-- origin VARCHAR: customer, agent, ai, template or automatic
-- user_id VARCHAR: the sender user or AI agent
-- is_inbound BOOLEAN: from the customer
-- is_reaction BOOLEAN: it opens, answers and splits no turn
-- is_reply BOOLEAN: no reaction, not failed, from an agent or AI: what answers a customer
-- is_charged BOOLEAN: NULL when unknown
-- content UBIGINT: hash of all that daily marts and contact summaries read of it
-- deleted_at TIMESTAMPTZ: NULL while it lives
-- worked_us BIGINT: business microseconds before it; a difference is the time between two messages;
-- NULL where no business time is known
WITH messages AS (
    SELECT * FROM core.messages
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
        AND in_calendar(sent_at)
    UNION ALL
    SELECT * REPLACE ('' AS conversation_id) FROM core.messages
    WHERE conversation_id IS NULL AND '' IN (SELECT conversation_id FROM temp.conversations_in_scope)
        AND in_calendar(sent_at)
)
SELECT
    m.message_key,
    m.conversation_id,
    m.event_id,
    m.wamid,
    m.channel_id,
    m.contact_id,
    m.direction,
    m.message_type,
    CASE WHEN m.direction = 'outbound' AND coalesce(m.message_type, 'template') = 'template'
        THEN m.body END AS template_text,
    m.sent_at AS moment,
    coalesce(m.event_id, m.message_key) AS tie,
    m.status,
    CASE WHEN in_calendar(least(m.delivered_at, m.read_at)) THEN least(m.delivered_at, m.read_at) END
        AS arrived_at,
    m.origin,
    acting_user(m.origin, m.sender_user_id, m.ai_agent_id) AS user_id,
    m.direction = 'inbound' AS is_inbound,
    m.message_type IS NOT DISTINCT FROM 'reaction' AS is_reaction,
    m.direction = 'outbound' AND m.origin IN ('agent', 'ai')
        AND m.status IS DISTINCT FROM 'failed' AND NOT is_reaction AS is_reply,
    m.is_charged,
    hash({columns of core.messages read by day, contact}) AS content,
    m.deleted_at,
    CASE WHEN has_business_time(m.sent_at) THEN coalesce(
        b.before_us + least(epoch_us(m.sent_at), epoch_us(b.closes_at)) - epoch_us(b.opens_at), 0
    ) END AS worked_us
FROM messages m
ASOF LEFT JOIN temp.business b ON m.sent_at >= b.opens_at
