-- A change of a contact's property that was seen: two versions of the contact, read one after the
-- other, differ in it.
--
-- The service's own log (`core.contact_history`) need not be complete; this is what was observed
-- beside it. A change seen has no author, and a time only to within two
-- readings.
--
-- grain: contact_id, property_key, observed_at
-- stream: contacts
-- replace: contact_id
-- reads: changes
--
-- contact_id VARCHAR: the contact
-- property_key VARCHAR: id of the property's definition; of a field of the contact, its name
-- property_name VARCHAR: the definition's latest name; of a field, as the log spells it (Company)
-- observed_at TIMESTAMPTZ: when the new value was first read
-- old_value VARCHAR: in the version before; NULL = none
-- new_value VARCHAR: since that reading; NULL = none
WITH versions AS (
    SELECT
        record_id,
        seq,
        fetched_at,
        json_transform(payload, '{
            "name": "VARCHAR", "email": "VARCHAR", "company": "VARCHAR", "position": "VARCHAR",
            "phoneNumber": "JSON", "phone": "JSON",
            "customProperties": [{
                "propertyDefinitionId": "VARCHAR", "propertyName": "VARCHAR",
                "textValue": "VARCHAR", "numberValue": "VARCHAR",
                "dateValue": "VARCHAR", "selectValue": "JSON"
            }]
        }') AS r
    FROM records
    WHERE payload IS NOT NULL
    QUALIFY count(*) OVER (PARTITION BY record_id) > 1
), custom AS (
    SELECT record_id, seq, identifier(p.propertyDefinitionId) AS key, p
    FROM (SELECT record_id, seq, unnest(r.customProperties) AS p FROM versions)
    WHERE identifier(p.propertyDefinitionId) IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY record_id, seq, identifier(p.propertyDefinitionId)
    ) = 1
), stated AS (
    SELECT
        record_id,
        seq,
        unnest(['Name', 'Email', 'Company', 'Position', 'PhoneNumber']) AS key,
        key AS name,
        unnest([
            r.name, r.email, r.company, r.position,
            text_or_key(coalesce(r.phoneNumber, r.phone), '$.number')
        ]) AS value
    FROM versions
    UNION ALL
    SELECT record_id, seq, key, p.propertyName, coalesce(
        p.textValue, plain_number(number(p.numberValue)), local_day(p.dateValue)::VARCHAR,
        text_or_key(p.selectValue, '$.value')
    )
    FROM custom
), properties AS (
    SELECT record_id, key, max_by(name, seq) AS name FROM stated GROUP BY ALL
), readings AS (
    -- Every property in every version: where a version does not state it, it has no value.
    SELECT record_id, key, p.name, v.seq, v.fetched_at, s.value
    FROM versions v
    JOIN properties p USING (record_id)
    LEFT JOIN stated s USING (record_id, key, seq)
)
SELECT
    record_id AS contact_id,
    key AS property_key,
    name AS property_name,
    fetched_at AS observed_at,
    lag(value) OVER in_order AS old_value,
    value AS new_value
FROM readings
WINDOW in_order AS (PARTITION BY record_id, key ORDER BY seq)
QUALIFY row_number() OVER in_order > 1 AND value IS DISTINCT FROM lag(value) OVER in_order
