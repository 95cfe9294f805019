-- A WhatsApp message, either direction.
--
-- What only webhooks know (wamid, type, sender, receipt times, billing) is NULL until they are
-- merged in.
--
-- grain: message_key
-- stream: timelines
-- view: yes
--
-- message_key VARCHAR: the timeline event's id
-- event_id VARCHAR: the timeline event
-- wamid VARCHAR: WhatsApp's own id
-- conversation_id VARCHAR: the conversation
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound (customer), outbound (us) or internal
-- message_type VARCHAR: text, image, template, …; NULL when only the timeline knows the message
-- body VARCHAR: text
-- media_url VARCHAR: medium; may expire, may be private
-- mime_type VARCHAR: of the medium
-- latitude DOUBLE: of a location, degrees
-- longitude DOUBLE: of a location, degrees
-- sent_at TIMESTAMPTZ: the message's own time
-- status VARCHAR: pending, sent, delivered, read or failed
-- delivered_at TIMESTAMPTZ: when we learned of its delivery
-- read_at TIMESTAMPTZ: when we learned that it was read
-- failed_at TIMESTAMPTZ: when we learned that it failed
-- error_code BIGINT: why it failed, only while its status is failed
-- error_reason VARCHAR: why it failed, in words
-- sender_user_id VARCHAR: who sent it
-- owner_user_id VARCHAR: the handler at that time, not proof of a sender
-- ai_agent_id VARCHAR: the AI agent involved
-- origin VARCHAR: customer, agent, ai, template or automatic
-- origin_confidence VARCHAR: stated, assumed (timeline only) or provisional (webhook only)
-- is_probable_auto_reply BOOLEAN: came from the customer within 30 s of a message of ours
-- is_billable BOOLEAN: what webhooks say; NULL without
-- is_charged BOOLEAN: false when it surely cost nothing; NULL when unknown
-- edited_at TIMESTAMPTZ: last edit
-- withdrawn_at TIMESTAMPTZ: deleted for everyone
-- in_timeline BOOLEAN: the timeline has it
-- in_webhooks BOOLEAN: webhooks told of it
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
SELECT
    event_id AS message_key,
    event_id,
    NULL::VARCHAR AS wamid,
    conversation_id,
    contact_id,
    channel_id,
    direction,
    NULL::VARCHAR AS message_type,
    body,
    attachment_url AS media_url,
    NULL::VARCHAR AS mime_type,
    latitude,
    longitude,
    occurred_at AS sent_at,
    status,
    NULL::TIMESTAMPTZ AS delivered_at,
    NULL::TIMESTAMPTZ AS read_at,
    NULL::TIMESTAMPTZ AS failed_at,
    CASE WHEN status = 'failed' THEN error_code END AS error_code,
    CASE WHEN status = 'failed' THEN failure_reason END AS error_reason,
    NULL::VARCHAR AS sender_user_id,
    owner_user_id,
    ai_agent_id,
    CASE direction
        WHEN 'inbound' THEN 'customer'
        WHEN 'outbound' THEN CASE
            WHEN is_ai OR ai_agent_id IS NOT NULL THEN 'ai'
            WHEN owner_user_id IS NOT NULL THEN 'agent'
            ELSE 'automatic' END
    END AS origin,
    CASE direction WHEN 'inbound' THEN 'stated' WHEN 'outbound' THEN 'assumed' END
        AS origin_confidence,
    direction = 'inbound' AND coalesce(occurred_at - max(
        CASE WHEN direction = 'outbound' THEN occurred_at END
    ) OVER (
        PARTITION BY conversation_id ORDER BY occurred_at, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) <= INTERVAL 30 SECONDS, false) AS is_probable_auto_reply,
    NULL::BOOLEAN AS is_billable,
    CASE WHEN direction = 'inbound' OR coalesce(status NOT IN ('delivered', 'read'), true)
        THEN false END AS is_charged,
    NULL::TIMESTAMPTZ AS edited_at,
    NULL::TIMESTAMPTZ AS withdrawn_at,
    true AS in_timeline,
    false AS in_webhooks,
    deleted_at
FROM core.timeline_events
WHERE source = 'whatsapp'
