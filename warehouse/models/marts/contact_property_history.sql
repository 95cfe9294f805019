-- Which value a property of a contact had from when to when.
--
-- Made of the service's change log, and of changes seen between two readings of the contact
-- (`core.contact_observations`), since the log need not be complete. A change that both have is
-- the log's: it knows when and who. One that was only seen holds since it was seen. The value before
-- the first change holds since the contact was made. Where the contact now has another value than
-- the last change gives, that holds since the contact was last modified; where there never was a
-- change, since it was made. Of changes in the same instant the last counts.
--
-- grain: contact_id, property_name, valid_from
-- subject: contacts
-- scope: contact
-- sorted: contact_id
--
-- contact_id VARCHAR: the contact
-- property_name VARCHAR: in the service's spelling (Company, Email), or a custom property's name
-- valid_from TIMESTAMPTZ: since when
-- value VARCHAR: the value; NULL = none
-- valid_to TIMESTAMPTZ: until when; NULL = now
-- changed_by VARCHAR: user id of who set it; NULL where the log does not say
WITH present AS (
    UNPIVOT (
        SELECT contact_id, name AS "Name", email AS "Email", company AS "Company",
            position AS "Position", phone_number AS "PhoneNumber"
        FROM temp.contacts
    ) ON COLUMNS(* EXCLUDE contact_id) INTO NAME property_name VALUE value
    UNION ALL
    SELECT contact_id, property_name, coalesce(
        text_value, plain_number(number_value), date_value::VARCHAR, select_value)
    FROM core.contact_properties
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
        -- Not where it would hide a field of the contact.
        AND property_name NOT IN ('Name', 'Email', 'Company', 'Position', 'PhoneNumber')
    QUALIFY row_number() OVER (PARTITION BY contact_id, property_name ORDER BY property_id) = 1
), ends AS (
    SELECT
        contact_id,
        property_name,
        max(changed_at) AS last_at,
        max_by({'of': value}, (changed_at, NOT is_logged)).of AS last_value,
        true AS has_changed
    FROM temp.property_changes
    GROUP BY contact_id, property_name
), versions AS (
    SELECT contact_id, property_name, c.created_at AS valid_from, old_value AS value,
        NULL::VARCHAR AS changed_by
    FROM temp.property_changes
    JOIN temp.contacts c USING (contact_id)
    WHERE is_first AND changed_at > c.created_at AND old_value IS NOT NULL
    UNION ALL
    SELECT contact_id, property_name, changed_at, value, changed_by
    FROM temp.property_changes
    UNION ALL
    SELECT
        contact_id,
        property_name,
        CASE WHEN has_changed THEN c.modified_at ELSE c.created_at END,
        value,
        NULL
    FROM present
    JOIN temp.contacts c USING (contact_id)
    LEFT JOIN ends USING (contact_id, property_name)
    WHERE has_changed IS NULL OR (value IS DISTINCT FROM last_value AND c.modified_at > last_at)
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
