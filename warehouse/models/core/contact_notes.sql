-- A note on a living contact; where several hold it (merged contacts), of the smallest id.
--
-- grain: note_id
-- stream: contacts
-- replace: contact_id
--
-- note_id VARCHAR: id of the note
-- contact_id VARCHAR: the contact it is about
-- text VARCHAR: as written
-- creator_name VARCHAR: who wrote it, as text
-- creator_id VARCHAR: who wrote it
-- created_at TIMESTAMPTZ: when it was written
-- deleted_at TIMESTAMPTZ: always NULL here: notes of deleted contacts are left out; raw keeps them
WITH wire AS (
    SELECT
        record_id,
        unnest(json_transform(payload, '{
            "notes": [{
                "id": "VARCHAR", "text": "VARCHAR", "creatorName": "VARCHAR",
                "creatorId": "VARCHAR", "creationTime": "VARCHAR"
            }]
        }').notes) AS n
    FROM records
    WHERE deleted_at IS NULL
)
SELECT
    identifier(n.id) AS note_id,
    record_id AS contact_id,
    n.text AS text,
    n.creatorName AS creator_name,
    identifier(n.creatorId) AS creator_id,
    instant(n.creationTime) AS created_at,
    unread(n.creationTime, created_at, 'notes.creationTime') AS unread_keys,
    NULL::TIMESTAMPTZ AS deleted_at
FROM wire
WHERE note_id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY record_id, note_id) = 1
