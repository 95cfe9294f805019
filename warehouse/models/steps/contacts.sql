-- Contacts in scope, deleted ones too.
--
-- grain: contact_id
--
-- contact_id VARCHAR: the contact
SELECT
    contact_id, name, phone_number, phone_e164, country, email, company, position, created_at,
    modified_at, deleted_at
FROM core.contacts
WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
