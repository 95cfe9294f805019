-- A message with what reports group by: its session, its day and hour in HATIF_TIMEZONE, and whose
-- it is. Its text and media are in `core.messages`.
--
-- Metrics: {metric:session}, {metric:message_origin}.
--
-- grain: message_key
-- subject: messages
-- view: yes
--
-- message_key VARCHAR: the message
-- conversation_id VARCHAR: the conversation
-- session_id VARCHAR: its session; NULL without a conversation or a time
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact
-- direction VARCHAR: inbound or outbound
-- origin VARCHAR: customer, agent, ai, template or automatic
-- message_type VARCHAR: text, image, template, …; NULL when only the timeline knows the message
-- status VARCHAR: pending, sent, delivered, read or failed
-- user_id VARCHAR: of ours, the sender user or AI agent, where known
-- sent_at TIMESTAMPTZ: its own time
-- sent_on DATE: reporting day of sent_at
-- sent_hour BIGINT: hour of that day, 0 to 23
-- is_charged BOOLEAN: false when it surely cost nothing; NULL when unknown
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH placed AS (
    SELECT
        m.*,
        CASE
            WHEN sent_at >= TIMESTAMPTZ '0001-01-03 00:00:00+00'
                AND sent_at < TIMESTAMPTZ '9999-12-29 00:00:00+00'
                THEN timezone((SELECT value FROM ops.home WHERE key = 'timezone'), sent_at)
        END AS local_time
    FROM core.messages m
)
SELECT
    m.message_key,
    m.conversation_id,
    CASE WHEN m.sent_at <= s.ended_at THEN s.session_id END AS session_id,
    m.channel_id,
    m.contact_id,
    m.direction,
    m.origin,
    m.message_type,
    m.status,
    CASE m.origin
        WHEN 'ai' THEN coalesce(m.ai_agent_id, m.sender_user_id)
        WHEN 'agent' THEN m.sender_user_id
    END AS user_id,
    m.sent_at,
    TRY_CAST(m.local_time AS DATE) AS sent_on,
    hour(m.local_time) AS sent_hour,
    m.is_charged,
    m.deleted_at
FROM placed m
ASOF LEFT JOIN marts.conversation_sessions s
    ON s.conversation_id = m.conversation_id AND m.sent_at >= s.started_at
