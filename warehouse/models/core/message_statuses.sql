-- One distinct webhook delivery about a WhatsApp message, typed, with its receive time.
--
-- A message has a delivery for each status it reaches, and under new circumstances: its own id may
-- be missing at first. The relation ``records`` holds deliveries of raw.webhook_events. The message
-- that a row names here is what the delivery alone gives; the merge corrects it.
--
-- grain: delivery_id
-- from: raw.webhook_events
-- sorted: conversation_id
--
-- delivery_id VARCHAR: SHA-256 of the body
-- seq BIGINT: order of arrival
-- message_key VARCHAR: the message; NULL for an edit or deletion whose message is not known
-- status VARCHAR: pending, sent, delivered, read or failed; one never seen before is unknown:<word>
-- is_billable BOOLEAN: as in this delivery
-- error_code BIGINT: why it failed, as a number
-- error_reason VARCHAR: why it failed, in words
-- received_at TIMESTAMPTZ: when this body was first received
-- is_stated BOOLEAN: an envelope stated that; else a file's modification time stands in for the order
-- event_id VARCHAR: the conversation event it names
-- wamid VARCHAR: WhatsApp's own id of the message, as sent
-- conversation_id VARCHAR: the conversation
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- message_type VARCHAR: text, image, reaction, …; also message_edited and message_deleted
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
        identifier(r.conversationEventId) AS event_id,
        CASE WHEN identifier(r.messageId) IS NOT NULL THEN r.messageId END AS wamid,
        -- A whole number, however written; a list or object is no code.
        CASE WHEN regexp_full_match(r.errorCode, '-?[0-9]{1,18}(\.0*)?') THEN
            TRY_CAST(split_part(r.errorCode, '.', 1) AS BIGINT) END AS error_code
    FROM wire
)
SELECT
    delivery_id,
    seq,
    coalesce(event_id, 'wamid:' || wamid) AS message_key,
    word(r.status, ['pending', 'sent', 'delivered', 'read', 'failed']) AS status,
    CASE
        WHEN lower(r.isBillable) IN ('true', '1', '1.0') THEN true
        WHEN lower(r.isBillable) IN ('false', '0', '0.0') THEN false
    END AS is_billable,
    error_code,
    coalesce(r.errorReason, CASE
        WHEN error_code IS NULL AND json_type(payload, '$.errorCode') = 'VARCHAR' THEN r.errorCode
    END) AS error_reason,
    received_at,
    is_stated,
    event_id,
    wamid,
    identifier(conversation_id) AS conversation_id,
    identifier(r.contactId) AS contact_id,
    identifier(channel_id) AS channel_id,
    code(r.direction, ['inbound', 'outbound']) AS direction,
    word(r.messageType, [
        'text', 'image', 'video', 'audio', 'document', 'location', 'contact', 'sticker',
        'template', 'interactive', 'unsupported', 'reaction', 'message_edited', 'message_deleted'
    ]) AS message_type,
    r.body AS body,
    r.mediaUrl AS media_url,
    r.mimeType AS mime_type,
    r.latitude AS latitude,
    r.longitude AS longitude,
    webhook_instant(r.creationTime) AS sent_at,
    identifier(r.senderUserId) AS sender_user_id
FROM named
