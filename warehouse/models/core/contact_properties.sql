-- The value of a custom property of a living contact, as it is now.
--
-- grain: contact_id, property_id
-- stream: contacts
-- replace: contact_id
--
-- contact_id VARCHAR: the contact
-- property_id VARCHAR: the definition
-- property_name VARCHAR: the definition's name at that time
-- property_type VARCHAR: text, number, select or date
-- text_value VARCHAR: value of a text property
-- number_value DOUBLE: value of a number property
-- date_value DATE: value of a date property, local date
-- select_value VARCHAR: value of a select property
WITH wire AS (
    SELECT
        record_id,
        unnest(json_transform(payload, '{
            "customProperties": [{
                "propertyDefinitionId": "VARCHAR", "propertyName": "VARCHAR",
                "propertyType": "VARCHAR", "textValue": "VARCHAR", "numberValue": "VARCHAR",
                "dateValue": "VARCHAR", "selectValue": "JSON"
            }]
        }').customProperties) AS p
    FROM records
    WHERE deleted_at IS NULL
)
SELECT
    record_id AS contact_id,
    identifier(p.propertyDefinitionId) AS property_id,
    p.propertyName AS property_name,
    code(p.propertyType, ['text', 'number', 'select', 'date']) AS property_type,
    p.textValue AS text_value,
    number(p.numberValue) AS number_value,
    local_day(p.dateValue) AS date_value,
    text_or_key(p.selectValue, '$.value') AS select_value,
    concat_ws(
        ',',
        unread(p.numberValue, number_value, 'numberValue'),
        unread(nullif(p.dateValue, ''), date_value, 'dateValue')
    ) AS unread_keys
FROM wire
WHERE property_id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY record_id, property_id) = 1
