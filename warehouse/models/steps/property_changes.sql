-- Changes of properties of the contacts in scope, logged by the service or seen between two readings;
-- each once, the log's where both have it.
--
-- grain: contact_id, property_name, changed_at, is_logged
--
-- contact_id VARCHAR: the contact
-- property_name VARCHAR: the property
-- changed_at TIMESTAMPTZ: when it changed, by the log; else when that was seen
-- old_value VARCHAR: before
-- value VARCHAR: since then
-- changed_by VARCHAR: user id of who did it
-- is_logged BOOLEAN: by the log
-- is_first BOOLEAN: the first of the property
WITH logged AS (
    -- Of changes in the same instant the last counts.
    SELECT contact_id, property_name, changed_at, first_value(old_value) OVER instant AS old_value,
        new_value AS value, changed_by, true AS is_logged
    FROM core.contact_history
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
        AND property_name IS NOT NULL AND changed_at IS NOT NULL
    WINDOW instant AS (PARTITION BY contact_id, property_name, changed_at ORDER BY history_id)
    QUALIFY lead(history_id) OVER instant IS NULL
), seen AS (
    SELECT contact_id, property_name, observed_at AS changed_at, old_value, new_value AS value,
        NULL::VARCHAR AS changed_by, false AS is_logged
    FROM core.contact_observations
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
        AND property_name IS NOT NULL
    QUALIFY rank() OVER (PARTITION BY contact_id, property_name ORDER BY property_key) = 1
), kept AS (
    -- What is seen after the log has it is no change any more. Clocks differ: the log may
    -- have it in the minute after it was seen, too.
    SELECT *
    FROM (FROM logged UNION ALL FROM seen)
    WINDOW in_order AS (PARTITION BY contact_id, property_name ORDER BY changed_at, NOT is_logged)
    QUALIFY is_logged OR (
        (lag(is_logged) OVER in_order IS NULL OR value IS DISTINCT FROM lag(value) OVER in_order)
        AND lag(changed_at) OVER in_order IS DISTINCT FROM changed_at  -- the log's is the one
        AND NOT coalesce(
            lead(is_logged) OVER in_order
            AND value IS NOT DISTINCT FROM lead(value) OVER in_order
            AND lead(changed_at) OVER in_order <= changed_at + INTERVAL 1 MINUTE, false)
    )
)
SELECT *, row_number() OVER (
    PARTITION BY contact_id, property_name ORDER BY changed_at, NOT is_logged
) = 1 AS is_first
FROM kept
