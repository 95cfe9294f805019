-- A message, call or assignment in a conversation, as last read.
--
-- Events change after they were made (delivery status, call summaries) and the service gives no
-- time of change: each is stored anew when its content differs.
--
-- grain: event_id
-- stream: timelines
-- parent: conversation_id
-- signals: last_activity_at, event_count, last_event_status, last_event_at
-- settles: is_settled, occurred_at
-- replace: event_id
-- instants: occurred_at=creationTime
-- sorted: conversation_id
--
-- event_id VARCHAR: id of the event
-- conversation_id VARCHAR: the conversation
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- source VARCHAR: call, whatsapp or assignation
-- source_id VARCHAR: call id for a call; an internal message id for WhatsApp
-- direction VARCHAR: inbound (customer), outbound (us, automatic replies included) or internal
-- occurred_at TIMESTAMPTZ: the event's own time
-- status VARCHAR: of a message pending, sent, delivered, read or failed; of a call ringing, active,
-- answered, completed, missed, no_answer, cancelled or rejected, also by_caller and by_callee; of an
-- assignment assigned or unassigned; one never seen before is unknown:<word>
-- error_code BIGINT: why it failed, as a number
-- failure_reason VARCHAR: why it failed, in words
-- is_ai BOOLEAN: made by an AI agent
-- attachment_url VARCHAR: media; may expire, may be private
-- owner_user_id VARCHAR: the handler at that time, not proof of a sender
-- ai_agent_id VARCHAR: the AI agent involved
-- handler_name VARCHAR: the handler, as text
-- duration_seconds DOUBLE: length of a call in seconds
-- media_size VARCHAR: size of a WhatsApp medium as sent
-- ringing_seconds DOUBLE: how long a call rang, in seconds
-- body VARCHAR: text of a message
-- ai_summary VARCHAR: summary of a call; arrives late
-- ai_transcription VARCHAR: transcript of a call; arrives late
-- reply_to_event_id VARCHAR: the event this one answers
-- thread_id VARCHAR: internal discussion of the event
-- thread_is_resolved BOOLEAN: whether that is settled
-- thread_message_count BIGINT: messages in it
-- latitude DOUBLE: of a location message, degrees
-- longitude DOUBLE: of a location message, degrees
-- location_name VARCHAR: of a location message
-- location_address VARCHAR: of a location message
-- assigned_user_id VARCHAR: of an assignment: to whom
-- assigned_ai_agent_id VARCHAR: of an assignment: to which AI agent
-- assigned_by_user_id VARCHAR: of an assignment: by whom
-- is_settled BOOLEAN: final; not so: an outbound message on its way, a call without its summary
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        parent_id,
        deleted_at,
        json_transform(payload, '{
            "contactId": "VARCHAR", "channelId": "VARCHAR", "sourceType": "VARCHAR",
            "sourceId": "VARCHAR", "direction": "VARCHAR", "creationTime": "VARCHAR",
            "status": "VARCHAR", "errorCode": "VARCHAR", "failureReason": "VARCHAR",
            "isAi": "VARCHAR", "attachment": "JSON", "ownerUserId": "VARCHAR",
            "aiAgentId": "VARCHAR", "handlerName": "VARCHAR", "durationOrSize": "VARCHAR",
            "ringingDuration": "VARCHAR", "body": "VARCHAR", "aiSummary": "JSON",
            "replyTo": {"repliedToEventId": "VARCHAR"},
            "internalThread": {"id": "VARCHAR", "isResolved": "VARCHAR", "messageCount": "VARCHAR"},
            "location": {"latitude": "VARCHAR", "longitude": "VARCHAR", "name": "VARCHAR",
                "address": "VARCHAR"},
            "assignation": {"assignedUserId": "VARCHAR", "assignedAiAgentId": "VARCHAR",
                "assignedByUserId": "VARCHAR"},
            "conversationId": "VARCHAR"
        }') AS r
    FROM records
), named AS (
    SELECT
        *,
        code(r.sourceType, ['call', 'whatsapp', 'assignation']) AS source,
        code(r.direction, ['inbound', 'outbound', 'internal']) AS direction,
        event_status(r.status) AS status,
        CASE WHEN r.aiSummary IS NOT NULL THEN CASE json_type(r.aiSummary)
            WHEN 'VARCHAR' THEN json_extract_string(r.aiSummary, '$')
            ELSE json_extract_string(r.aiSummary, '$.summary') END END AS ai_summary,
        whole_number(r.errorCode) AS error_code
    FROM wire
), read AS (
    -- A name that is used in its own SELECT is computed again at each use.
    SELECT
        *,
        CASE WHEN source = 'call' THEN timespan_seconds(r.durationOrSize) END AS duration_seconds,
        CASE WHEN source = 'call' THEN timespan_seconds(r.ringingDuration) END AS ringing_seconds,
        flag(r.isAi) AS is_ai,
        flag(r.internalThread.isResolved) AS thread_is_resolved,
        whole_number(r.internalThread.messageCount) AS thread_message_count,
        number(r.location.latitude) AS latitude,
        number(r.location.longitude) AS longitude
    FROM named
)
SELECT
    record_id AS event_id,
    coalesce(parent_id, identifier(r.conversationId)) AS conversation_id,
    coalesce(its_contact, identifier(r.contactId)) AS contact_id,
    coalesce(its_channel, identifier(r.channelId)) AS channel_id,
    source,
    identifier(r.sourceId) AS source_id,
    direction,
    instant(r.creationTime) AS occurred_at,
    status,
    error_code,
    coalesce(r.failureReason, CASE WHEN error_code IS NULL THEN r.errorCode END) AS failure_reason,
    is_ai,
    text_or_key(r.attachment, '$.url') AS attachment_url,
    identifier(r.ownerUserId) AS owner_user_id,
    identifier(r.aiAgentId) AS ai_agent_id,
    r.handlerName AS handler_name,
    duration_seconds,
    CASE WHEN source <> 'call' THEN r.durationOrSize END AS media_size,
    ringing_seconds,
    r.body AS body,
    ai_summary,
    CASE WHEN r.aiSummary IS NOT NULL
        THEN json_extract_string(r.aiSummary, '$.transcription') END AS ai_transcription,
    identifier(r.replyTo.repliedToEventId) AS reply_to_event_id,
    identifier(r.internalThread.id) AS thread_id,
    thread_is_resolved,
    thread_message_count,
    latitude,
    longitude,
    r.location.name AS location_name,
    r.location.address AS location_address,
    identifier(r.assignation.assignedUserId) AS assigned_user_id,
    identifier(r.assignation.assignedAiAgentId) AS assigned_ai_agent_id,
    identifier(r.assignation.assignedByUserId) AS assigned_by_user_id,
    coalesce(CASE source
        WHEN 'whatsapp' THEN
            direction <> 'outbound' OR status NOT IN ('pending', 'sent', 'delivered')
        WHEN 'call' THEN ai_summary IS NOT NULL OR duration_seconds < 30
    END, true) AS is_settled,
    concat_ws(
        ',',
        CASE WHEN source = 'call' THEN unread(r.durationOrSize, duration_seconds, 'durationOrSize')
        END,
        CASE WHEN source = 'call' THEN unread(r.ringingDuration, ringing_seconds, 'ringingDuration')
        END,
        unread(r.isAi, is_ai, 'isAi'),
        unread(r.internalThread.isResolved, thread_is_resolved, 'isResolved'),
        unread(r.internalThread.messageCount, thread_message_count, 'messageCount'),
        unread(r.location.latitude, latitude, 'latitude'),
        unread(r.location.longitude, longitude, 'longitude')
    ) AS unread_keys,
    deleted_at
FROM read
LEFT JOIN (
    -- Both ids are the conversation's, and follow it when it moves.
    SELECT
        conversation_id AS its_id,
        contact_id AS its_contact,
        channel_id AS its_channel
    FROM core.conversations
) ON its_id = parent_id
