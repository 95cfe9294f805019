-- One change of one property of a contact, from the service's own log.
--
-- grain: history_id
-- stream: contact_history
-- parent: contact_id
-- signals: modified_at, content_hash
-- replace: history_id
-- instants: changed_at=creationTime
--
-- history_id VARCHAR: id of the change
-- contact_id VARCHAR: the contact
-- property_name VARCHAR: what changed, in the service's spelling (Company, Email)
-- old_value VARCHAR: before
-- new_value VARCHAR: after
-- changed_at TIMESTAMPTZ: when
-- changed_by VARCHAR: user id of who did it
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        parent_id,
        deleted_at,
        json_transform(payload, '{
            "propertyName": "VARCHAR", "oldValue": "VARCHAR", "newValue": "VARCHAR",
            "creationTime": "VARCHAR", "creatorId": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    record_id AS history_id,
    parent_id AS contact_id,
    r.propertyName AS property_name,
    r.oldValue AS old_value,
    r.newValue AS new_value,
    instant(r.creationTime) AS changed_at,
    identifier(r.creatorId) AS changed_by,
    deleted_at
FROM wire
