-- A phone line or WhatsApp number of the workspace.
--
-- grain: channel_id
-- stream: channels
-- replace: channel_id
-- instants: created_at=creationTime, modified_at=lastModificationTime
--
-- channel_id VARCHAR: id of the channel
-- workspace_id VARCHAR: the workspace it belongs to
-- name VARCHAR: as shown in the portal
-- channel_type VARCHAR: phone, whatsapp or phone_and_whatsapp
-- phone_number VARCHAR: the line's number as sent
-- phone_number_id VARCHAR: id of the number, NULL where the service sends the number as text
-- created_at TIMESTAMPTZ: when it was set up
-- modified_at TIMESTAMPTZ: last change, NULL if never changed
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        deleted_at,
        json_transform(payload, '{
            "workspaceId": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR",
            "phoneNumber": "JSON", "creationTime": "VARCHAR", "lastModificationTime": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    record_id AS channel_id,
    identifier(r.workspaceId) AS workspace_id,
    r.name AS name,
    code(replace(r.type, 'PhoneNumber', 'Phone'), ['phone', 'whatsapp', 'phone_and_whatsapp'])
        AS channel_type,
    text_or_key(r.phoneNumber, '$.number') AS phone_number,
    CASE WHEN json_type(r.phoneNumber) = 'OBJECT'
        THEN identifier(json_extract_string(r.phoneNumber, '$.id')) END AS phone_number_id,
    instant(r.creationTime) AS created_at,
    instant(r.lastModificationTime) AS modified_at,
    deleted_at
FROM wire
