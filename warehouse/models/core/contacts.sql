-- A person or company that wrote, called, was written to or was entered by hand.
--
-- Any touch makes a contact, so counting contacts counts strangers; an unnamed one is named after
-- its number.
--
-- grain: contact_id
-- stream: contacts
-- replace: contact_id
-- instants: created_at=creationTime, modified_at=lastModificationTime
--
-- contact_id VARCHAR: id of the contact
-- workspace_id VARCHAR: the workspace it belongs to
-- name VARCHAR: as sent; equals the number when it was never named
-- phone_number VARCHAR: as sent
-- phone_e164 VARCHAR: the number in E.164 form, NULL where it is none
-- country VARCHAR: ISO 3166-1 alpha-2 country of the number
-- contact_type VARCHAR: individual; other codes are undocumented
-- email VARCHAR: as sent
-- company VARCHAR: as sent
-- position VARCHAR: job title as sent
-- custom_fields JSON: free-form object, not shown in the portal
-- created_at TIMESTAMPTZ: when it was made
-- modified_at TIMESTAMPTZ: last change the service admits to; notes and properties may not move it
-- content_hash VARCHAR: of all that the service sends of the contact, notes and properties included
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        deleted_at,
        -- Without the names of properties: renaming one is no change of every contact.
        md5(regexp_replace(
            payload::VARCHAR, '"propertyName":"([^"\\]|\\.)*"', '', 'g'
        )) AS content_hash,
        json_transform(payload, '{
            "workspaceId": "VARCHAR", "name": "VARCHAR", "phoneNumber": "JSON",
            "phone": "JSON", "contactType": "VARCHAR", "email": "VARCHAR",
            "company": "VARCHAR", "position": "VARCHAR", "customFields": "JSON",
            "creationTime": "VARCHAR", "lastModificationTime": "VARCHAR"
        }') AS r
    FROM records
), typed AS (
    SELECT *, text_or_key(coalesce(r.phoneNumber, r.phone), '$.number') AS phone_number FROM wire
)
SELECT
    record_id AS contact_id,
    identifier(r.workspaceId) AS workspace_id,
    r.name AS name,
    phone_number,
    phone_e164(phone_number) AS phone_e164,
    phone_country(phone_number) AS country,
    code(r.contactType, ['individual']) AS contact_type,
    r.email AS email,
    r.company AS company,
    r.position AS position,
    r.customFields AS custom_fields,
    instant(r.creationTime) AS created_at,
    instant(r.lastModificationTime) AS modified_at,
    content_hash,
    deleted_at
FROM typed
