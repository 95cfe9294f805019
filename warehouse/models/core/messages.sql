-- A WhatsApp message, either direction.
--
-- Made of the timeline and of webhooks, whichever came first, in any order. What only webhooks
-- know (wamid, type, sender, receipt times, billing) is NULL where none came. Which delivery belongs
-- to which message: warehouse/models/merge/message_keys.sql. What came from the customer right after
-- a message of ours: auto_replies.sql beside it.
--
-- grain: message_key
-- from: core.timeline_events, core.message_statuses
-- sorted: conversation_id
--
-- message_key VARCHAR: the event's id, else wamid:<wamid>, else hash:<…>; it changes as more is known
-- event_id VARCHAR: the timeline event, or the one that webhooks name
-- wamid VARCHAR: WhatsApp's own id
-- conversation_id VARCHAR: the conversation
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound (customer), outbound (us) or internal
-- message_type VARCHAR: text, image, template, reaction, …; NULL when only the timeline knows the message
-- body VARCHAR: text
-- media_url VARCHAR: medium; may expire, may be private
-- mime_type VARCHAR: of the medium
-- latitude DOUBLE: of a location, degrees
-- longitude DOUBLE: of a location, degrees
-- sent_at TIMESTAMPTZ: the message's own time
-- status VARCHAR: pending, sent, delivered, read or failed; NULL while none is known; one never seen
-- before is unknown:<word>
-- delivered_at TIMESTAMPTZ: earliest stated receive time of its delivery, not before sent_at
-- read_at TIMESTAMPTZ: the same of its being read
-- failed_at TIMESTAMPTZ: the same of its failure, even if it arrived after all
-- error_code BIGINT: why it failed, only while its status is failed
-- error_reason VARCHAR: why it failed, in words
-- sender_user_id VARCHAR: who sent it
-- owner_user_id VARCHAR: the handler at that time, not proof of a sender
-- ai_agent_id VARCHAR: the AI agent involved
-- origin VARCHAR: customer, agent, ai, template or automatic
-- origin_confidence VARCHAR: stated, assumed (timeline only) or provisional (webhook only)
-- is_probable_auto_reply BOOLEAN: came from the customer within 30 s of a message of ours
-- is_billable BOOLEAN: true where any webhook states so, false where one of its sending states that
-- it is not; else NULL
-- is_charged BOOLEAN: false when it surely cost nothing; NULL when unknown
-- edited_at TIMESTAMPTZ: when we last learned of an edit; its text is in body
-- withdrawn_at TIMESTAMPTZ: when we first learned that it was deleted for everyone
-- in_timeline BOOLEAN: the timeline has it
-- in_webhooks BOOLEAN: webhooks have it
-- is_joined_by_time BOOLEAN: timeline and webhooks name no common id; they say the same within 2 s
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH known AS (
    -- Of several deliveries: a value beats none, then the latest, then the body hash.
    SELECT
        message_key,
        -- An event id that rule 1 refuses is none: what bears it is another message.
        min(event_id) FILTER (is_event_id) AS event_id,
        coalesce(bool_or(event_id = message_key), false) AS names_event,
        arg_max(wamid, n) AS wamid,
        arg_max(conversation_id, n) AS conversation_id,
        arg_max(contact_id, n) AS contact_id,
        arg_max(channel_id, n) AS channel_id,
        arg_max(direction, n) AS direction,
        arg_max(message_type, n) AS message_type,
        arg_max(body, n) AS body,
        arg_max(media_url, n) AS media_url,
        arg_max(mime_type, n) AS mime_type,
        arg_max(latitude, n) AS latitude,
        arg_max(longitude, n) AS longitude,
        min(sent_at) AS sent_at,
        arg_max(sender_user_id, n) AS sender_user_id,
        arg_max(error_code, n) AS error_code,
        arg_max(error_reason, n) AS error_reason,
        arg_max(status, message_rank(status) * 1_000_000_000_000 + n) AS status,
        list(received_at) FILTER (status = 'delivered' AND is_stated IS NOT FALSE) AS delivered,
        list(received_at) FILTER (status = 'read' AND is_stated IS NOT FALSE) AS read,
        list(received_at) FILTER (status = 'failed' AND is_stated IS NOT FALSE) AS failed,
        CASE
            WHEN bool_or(is_billable) THEN true
            WHEN bool_or(NOT is_billable AND status IN ('sent', 'delivered', 'read', 'failed'))
                THEN false
        END AS is_billable
    FROM statuses
    WHERE NOT is_edit
    GROUP BY message_key
), edited AS (
    SELECT
        message_key,
        arg_max(body, n) FILTER (message_type = 'message_edited') AS body,
        max(received_at) FILTER (message_type = 'message_edited') AS edited_at,
        min(received_at) FILTER (message_type = 'message_deleted') AS withdrawn_at
    FROM statuses
    WHERE is_edit AND message_key IS NOT NULL
    GROUP BY message_key
), joined AS (
    SELECT
        coalesce(t.event_id, w.message_key) AS message_key,
        coalesce(t.event_id, w.event_id) AS event_id,
        w.wamid,
        coalesce(t.conversation_id, w.conversation_id) AS conversation_id,
        coalesce(t.contact_id, w.contact_id) AS contact_id,
        coalesce(t.channel_id, w.channel_id) AS channel_id,
        coalesce(t.direction, w.direction) AS direction,
        w.message_type,
        coalesce(w.body, t.body) AS body,
        coalesce(w.media_url, t.attachment_url) AS media_url,
        w.mime_type,
        coalesce(w.latitude, t.latitude) AS latitude,
        coalesce(w.longitude, t.longitude) AS longitude,
        coalesce(t.occurred_at, w.sent_at) AS own_time,
        own_time AS sent_at,
        CASE WHEN message_rank(t.status) > message_rank(w.status) OR w.status IS NULL
            THEN t.status ELSE w.status END AS status,
        earliest_since(w.delivered, own_time) AS delivered_at,
        earliest_since(w.read, own_time) AS read_at,
        earliest_since(w.failed, own_time) AS failed_at,
        coalesce(w.error_code, t.error_code) AS error_code,
        coalesce(w.error_reason, t.failure_reason) AS error_reason,
        w.sender_user_id,
        identifier(t.owner_user_id) AS owner_user_id,
        identifier(t.ai_agent_id) AS ai_agent_id,
        coalesce(t.is_ai, false) OR identifier(t.ai_agent_id) IS NOT NULL
            OR coalesce(w.sender_user_id IN (SELECT user_id FROM core.users WHERE is_ai_agent), false)
            AS is_ai,
        w.is_billable,
        t.event_id IS NOT NULL AS in_timeline,
        w.message_key IS NOT NULL AS in_webhooks,
        t.event_id IS NOT NULL AND w.message_key IS NOT NULL AND NOT w.names_event
            AS is_joined_by_time,
        t.deleted_at
    FROM timeline t
    FULL JOIN known w ON w.message_key = t.event_id
)
SELECT
    j.message_key,
    j.event_id,
    j.wamid,
    j.conversation_id,
    j.contact_id,
    j.channel_id,
    j.direction,
    j.message_type,
    coalesce(e.body, j.body) AS body,
    j.media_url,
    j.mime_type,
    j.latitude,
    j.longitude,
    j.sent_at,
    j.status,
    j.delivered_at,
    j.read_at,
    j.failed_at,
    CASE WHEN j.status = 'failed' THEN j.error_code END AS error_code,
    CASE WHEN j.status = 'failed' THEN j.error_reason END AS error_reason,
    j.sender_user_id,
    j.owner_user_id,
    j.ai_agent_id,
    CASE j.direction
        WHEN 'inbound' THEN 'customer'
        WHEN 'outbound' THEN CASE
            WHEN j.is_ai THEN 'ai'
            WHEN j.sender_user_id IS NOT NULL THEN 'agent'
            WHEN j.in_webhooks AND j.message_type = 'template' THEN 'template'
            WHEN j.in_webhooks OR j.owner_user_id IS NULL THEN 'automatic'
            ELSE 'agent' END
    END AS origin,
    CASE j.direction
        WHEN 'inbound' THEN 'stated'
        WHEN 'outbound' THEN CASE
            WHEN NOT j.in_webhooks THEN 'assumed'
            WHEN NOT j.in_timeline AND j.sender_user_id IS NULL THEN 'provisional'
            ELSE 'stated' END
    END AS origin_confidence,
    CASE WHEN j.direction IS NULL THEN NULL ELSE false END AS is_probable_auto_reply,
    j.is_billable,
    CASE
        WHEN j.direction = 'inbound' THEN false
        WHEN coalesce(j.status NOT IN ('delivered', 'read'), true) THEN false
        ELSE j.is_billable
    END AS is_charged,
    e.edited_at,
    e.withdrawn_at,
    j.in_timeline,
    j.in_webhooks,
    j.is_joined_by_time,
    j.deleted_at
FROM joined j
LEFT JOIN edited e ON e.message_key = j.message_key
