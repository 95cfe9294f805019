-- What the service counts for a property definition, a row each time the answer changed.
--
-- The shape of the answer is undocumented and was never seen live: it is kept, not modelled.
--
-- grain: property_id, observed_at
-- stream: property_statistics
-- parent: property_id
-- replace: property_id
-- reads: versions
--
-- property_id VARCHAR: the definition
-- observed_at TIMESTAMPTZ: when this reading was first seen
-- payload JSON: the answer as sent
SELECT
    record_id AS property_id,
    fetched_at AS observed_at,
    payload
FROM records
WHERE payload IS NOT NULL
