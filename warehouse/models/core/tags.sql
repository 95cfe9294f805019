-- A label that conversations can carry. Names can end in blanks and be near-duplicates: join on id.
--
-- grain: tag_id
-- stream: tags
-- replace: tag_id
-- instants: created_at=creationTime
--
-- tag_id VARCHAR: id of the tag
-- name VARCHAR: as sent, blanks at the end included
-- icon VARCHAR: an emoji or the name of an icon
-- is_pinned BOOLEAN: pinned in the portal
-- created_at TIMESTAMPTZ: when it was made
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        deleted_at,
        json_transform(payload, '{
            "name": "VARCHAR", "icon": "VARCHAR", "isPinned": "VARCHAR", "creationTime": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    record_id AS tag_id,
    r.name AS name,
    r.icon AS icon,
    flag(r.isPinned) AS is_pinned,
    instant(r.creationTime) AS created_at,
    unread(r.isPinned, is_pinned, 'isPinned') AS unread_keys,
    deleted_at
FROM wire
