-- Which value a property of a contact had from when to when.
--
-- Made of the service's change log, and of changes seen between two readings of the contact
-- (`core.contact_observations`), since the log need not be complete. A change that both tell of is
-- the log's: it knows when and who. One that was only seen holds since it was seen. The value before
-- the first change holds since the contact was made. Where the contact now has another value than
-- the last change says, that holds since the contact was last modified; where there never was a
-- change, since it was made. Of changes in the same instant the last counts.
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
), present AS (
    SELECT * FROM (
        UNPIVOT (
            SELECT contact_id, '' AS property_id, name AS "Name", email AS "Email",
                company AS "Company", position AS "Position", phone_number AS "PhoneNumber"
            FROM contacts
        ) ON COLUMNS(* EXCLUDE (contact_id, property_id)) INTO NAME property_name VALUE value
        UNION ALL BY NAME
        SELECT contact_id, property_id, property_name, coalesce(
            text_value, plain_number(number_value), date_value::VARCHAR, select_value) AS value
        FROM core.contact_properties
        WHERE contact_id IN (SELECT contact_id FROM contacts) AND property_name IS NOT NULL
    )
    QUALIFY row_number() OVER (PARTITION BY contact_id, property_name ORDER BY property_id) = 1
), logged AS (
    SELECT contact_id, property_name, changed_at AS valid_from,
        first_value(old_value) OVER instant AS old_value, new_value AS value, changed_by,
        true AS is_logged
    FROM core.contact_history
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
        AND property_name IS NOT NULL AND changed_at IS NOT NULL
    WINDOW instant AS (PARTITION BY contact_id, property_name, changed_at ORDER BY history_id)
    QUALIFY lead(history_id) OVER instant IS NULL
), seen AS (
    SELECT contact_id, property_name, observed_at AS valid_from, old_value, new_value AS value,
        NULL::VARCHAR AS changed_by, false AS is_logged
    FROM core.contact_observations
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
        AND property_name IS NOT NULL
    QUALIFY rank() OVER (PARTITION BY contact_id, property_name ORDER BY property_key) = 1
), changes AS (
    -- What is seen after the log told of it is no change any more. Clocks differ: the log may tell
    -- of it in the minute after it was seen, too.
    SELECT *, row_number() OVER in_order = 1 AS is_first
    FROM (FROM logged UNION ALL FROM seen)
    WINDOW in_order AS (PARTITION BY contact_id, property_name ORDER BY valid_from, NOT is_logged)
    QUALIFY is_logged OR (
        (is_first OR value IS DISTINCT FROM lag(value) OVER in_order)
        AND NOT coalesce(
            lead(is_logged) OVER in_order
            AND value IS NOT DISTINCT FROM lead(value) OVER in_order
            AND lead(valid_from) OVER in_order <= valid_from + INTERVAL 1 MINUTE, false)
    )
), ends AS (
    SELECT
        contact_id,
        property_name,
        min(valid_from) AS first_at,
        min_by(struct_pack(of := old_value), (valid_from, NOT is_logged)).of AS first_value,
        max(valid_from) AS last_at,
        max_by(struct_pack(of := value), (valid_from, NOT is_logged)).of AS last_value,
        true AS has_changed
    FROM changes
    GROUP BY ALL
), versions AS (
    SELECT contact_id, property_name, c.created_at AS valid_from, first_value AS value,
        NULL::VARCHAR AS changed_by
    FROM ends JOIN contacts c USING (contact_id)
    WHERE first_at > c.created_at AND first_value IS NOT NULL
    UNION ALL
    SELECT contact_id, property_name, valid_from, value, changed_by
    FROM changes
    UNION ALL
    SELECT
        contact_id,
        property_name,
        CASE WHEN has_changed THEN c.modified_at ELSE c.created_at END,
        value,
        NULL
    FROM present
    JOIN contacts c USING (contact_id)
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
