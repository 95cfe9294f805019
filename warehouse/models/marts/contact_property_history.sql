-- Which value a property of a contact had from when to when.
--
-- Made of the service's change log. The value before the first change holds since the contact was
-- made. Where the contact now has another value than the log says, or the log says nothing, the
-- present value holds since the contact was last modified, else since it was made: the log need not
-- be complete. Of changes in the same instant the last counts.
--
-- grain: contact_id, property_name, valid_from
-- scope: contact
-- sorted: contact_id
--
-- contact_id VARCHAR: the contact
-- property_name VARCHAR: in the service's spelling (Company, Email), or a custom property's name
-- valid_from TIMESTAMPTZ: since when
-- value VARCHAR: the value; NULL = none
-- valid_to TIMESTAMPTZ: until when; NULL = now
-- changed_by VARCHAR: user id of who set it; NULL where the log does not say
WITH contacts AS (
    SELECT * FROM core.contacts
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
), changes AS (
    SELECT contact_id, property_name, changed_at, old_value, new_value, changed_by, history_id
    FROM core.contact_history
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
        AND property_name IS NOT NULL AND changed_at IS NOT NULL
), logged AS (
    SELECT * FROM changes
    QUALIFY row_number() OVER (
        PARTITION BY contact_id, property_name, changed_at ORDER BY history_id DESC
    ) = 1
), present AS (
    UNPIVOT (
        SELECT contact_id, name AS "Name", email AS "Email", company AS "Company",
            position AS "Position", phone_number AS "PhoneNumber"
        FROM contacts
    ) ON COLUMNS(* EXCLUDE contact_id) INTO NAME property_name VALUE value
    UNION ALL
    SELECT contact_id, property_name, coalesce(
        text_value, plain_number(number_value), date_value::VARCHAR, select_value)
    FROM core.contact_properties
    WHERE contact_id IN (SELECT contact_id FROM contacts) AND property_name IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY contact_id, property_name ORDER BY property_id) = 1
), last_logged AS (
    SELECT contact_id, property_name, max(changed_at) AS changed_at,
        max_by(struct_pack(new := new_value), changed_at).new AS value, true AS is_logged
    FROM logged GROUP BY ALL
), observed AS (
    SELECT
        contact_id,
        property_name,
        CASE WHEN is_logged THEN c.modified_at ELSE c.created_at END AS valid_from,
        p.value,
        NULL::VARCHAR AS changed_by
    FROM present p
    JOIN contacts c USING (contact_id)
    LEFT JOIN last_logged l USING (contact_id, property_name)
    WHERE is_logged IS NULL OR (p.value IS DISTINCT FROM l.value AND c.modified_at > l.changed_at)
), before AS (
    SELECT
        l.contact_id,
        l.property_name,
        c.created_at AS valid_from,
        min_by(struct_pack(old := old_value), changed_at).old AS value,
        NULL::VARCHAR AS changed_by
    FROM logged l
    JOIN contacts c USING (contact_id)
    GROUP BY l.contact_id, l.property_name, c.created_at
    HAVING min(changed_at) > c.created_at
), versions AS (
    SELECT contact_id, property_name, valid_from, value, changed_by FROM before
    WHERE value IS NOT NULL
    UNION ALL
    SELECT contact_id, property_name, changed_at, new_value, changed_by FROM logged
    UNION ALL
    SELECT contact_id, property_name, valid_from, value, changed_by FROM observed
)
SELECT
    contact_id,
    property_name,
    valid_from,
    value,
    lead(valid_from) OVER (PARTITION BY contact_id, property_name ORDER BY valid_from) AS valid_to,
    changed_by
FROM versions
WHERE valid_from IS NOT NULL
