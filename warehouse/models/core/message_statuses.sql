-- One distinct webhook delivery about a WhatsApp message, typed: what it said, and when it came.
--
-- A message is told of again for each status it reaches, and under new circumstances: its own id may
-- be missing at first. The relation ``records`` holds deliveries of raw.webhook_events. The message
-- that a row names here is what the delivery alone can tell; the merge corrects it.
--
-- grain: delivery_id
-- sorted: conversation_id
--
-- delivery_id VARCHAR: SHA-256 of the body
-- seq BIGINT: order of arrival
-- message_key VARCHAR: the message; NULL for an edit or deletion whose message is not known
-- status VARCHAR: pending, sent, delivered, read or failed
-- is_billable BOOLEAN: as said in this delivery
-- error_code BIGINT: why it failed, as a number
-- error_reason VARCHAR: why it failed, in words
-- received_at TIMESTAMPTZ: when this body was first received
-- event_id VARCHAR: the conversation event it names
-- wamid VARCHAR: WhatsApp's own id of the message, as sent
-- conversation_id VARCHAR: the conversation
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- message_type VARCHAR: text, image, …; also message_edited and message_deleted
-- body VARCHAR: text
-- media_url VARCHAR: medium; may expire, may be private
-- mime_type VARCHAR: of the medium
-- latitude DOUBLE: of a location, degrees
-- longitude DOUBLE: of a location, degrees
-- sent_at TIMESTAMPTZ: the message's own time, the same in all its deliveries
-- sender_user_id VARCHAR: who sent it
WITH wire AS (
    SELECT
        *,
        json_transform(payload, '{
            "conversationEventId": "VARCHAR", "messageId": "VARCHAR", "contactId": "VARCHAR",
            "direction": "VARCHAR", "messageType": "VARCHAR", "body": "VARCHAR",
            "mediaUrl": "VARCHAR", "mimeType": "VARCHAR", "status": "VARCHAR",
            "senderUserId": "VARCHAR", "latitude": "DOUBLE", "longitude": "DOUBLE",
            "creationTime": "VARCHAR", "isBillable": "VARCHAR", "errorCode": "VARCHAR",
            "errorReason": "VARCHAR"
        }') AS r
    FROM records
), named AS (
    SELECT
        *,
        nullif(lower(r.conversationEventId), '') AS event_id,
        nullif(r.messageId, '') AS wamid,
        TRY_CAST(r.errorCode AS BIGINT) AS error_code
    FROM wire
)
SELECT
    delivery_id,
    seq,
    coalesce(event_id, 'wamid:' || wamid) AS message_key,
    word(r.status, ['pending', 'sent', 'delivered', 'read', 'failed']) AS status,
    TRY_CAST(r.isBillable AS BOOLEAN) AS is_billable,
    error_code,
    coalesce(r.errorReason, CASE WHEN error_code IS NULL THEN r.errorCode END) AS error_reason,
    received_at,
    event_id,
    wamid,
    conversation_id,
    lower(r.contactId) AS contact_id,
    channel_id,
    code(r.direction, ['inbound', 'outbound']) AS direction,
    word(r.messageType, [
        'text', 'image', 'video', 'audio', 'document', 'location', 'contact', 'sticker',
        'template', 'interactive', 'unsupported', 'message_edited', 'message_deleted'
    ]) AS message_type,
    r.body AS body,
    r.mediaUrl AS media_url,
    r.mimeType AS mime_type,
    r.latitude AS latitude,
    r.longitude AS longitude,
    webhook_instant(r.creationTime) AS sent_at,
    lower(r.senderUserId) AS sender_user_id
FROM named
