-- Messages of the contacts in scope that the service still has.
--
-- grain: message_key
--
-- message_key VARCHAR: the message
-- contact_id VARCHAR: its contact
SELECT message_key, contact_id, conversation_id, direction, sent_at, is_charged
FROM core.messages
WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope) AND deleted_at IS NULL
    AND in_calendar(sent_at)
