-- A custom property that contacts can have.
--
-- grain: property_id
-- stream: property_definitions
-- replace: property_id
-- instants: created_at=creationTime, modified_at=lastModificationTime
--
-- property_id VARCHAR: id of the definition
-- name VARCHAR: as shown in the portal
-- key VARCHAR: its technical name
-- property_type VARCHAR: text, number, select or date
-- is_required BOOLEAN: must be filled in the portal
-- select_options JSON: for select: list of {value, color}; NULL otherwise
-- created_at TIMESTAMPTZ: when it was made
-- modified_at TIMESTAMPTZ: last change, NULL if never changed
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        deleted_at,
        json_transform(payload, '{
            "name": "VARCHAR", "key": "VARCHAR", "type": "VARCHAR", "isRequired": "VARCHAR",
            "selectOptions": ["JSON"],
            "creationTime": "VARCHAR", "lastModificationTime": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    record_id AS property_id,
    r.name AS name,
    r.key AS key,
    code(r.type, ['text', 'number', 'select', 'date']) AS property_type,
    flag(r.isRequired) AS is_required,
    to_json(list_transform(r.selectOptions, lambda o: {
        'value': text_or_key(o, '$.value'),
        'color': CASE WHEN json_type(o) = 'OBJECT' THEN json_extract_string(o, '$.color') END
    })) AS select_options,
    instant(r.creationTime) AS created_at,
    instant(r.lastModificationTime) AS modified_at,
    unread(r.isRequired, is_required, 'isRequired') AS unread_keys,
    deleted_at
FROM wire
