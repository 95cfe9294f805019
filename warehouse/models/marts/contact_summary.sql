-- A living contact, with its activity and costs.
--
-- It leaves out conversations, messages and calls that the service no longer has.
--
-- grain: contact_id
-- subject: contacts
-- scope: contact
-- sorted: contact_id
--
-- contact_id VARCHAR: the contact
-- name VARCHAR: as sent; equals the number when it was never named
-- phone_e164 VARCHAR: the number in E.164 form
-- country VARCHAR: of the number
-- first_seen_at TIMESTAMPTZ: when it was made, or its first message or call if that is earlier
-- last_activity_at TIMESTAMPTZ: its last message or call, either direction
-- conversations BIGINT: conversations
-- sessions BIGINT: sessions of these
-- inbound_messages BIGINT: messages of the customer
-- outbound_messages BIGINT: messages of ours, failed ones too
-- calls BIGINT: calls, either direction
-- charged_messages BIGINT: messages that surely cost something
-- unknown_messages BIGINT: messages of which it is unknown whether they cost something
-- costs JSON: estimated cost of the charged messages by currency, as decimal text
-- unknown_costs JSON: cost of the unknown messages by currency, if they are charged
-- select_properties JSON: value of each select property by its name
WITH conversations AS (
    SELECT contact_id, count(*) AS conversations
    FROM core.conversations
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope) AND deleted_at IS NULL
    GROUP BY contact_id
), begun AS (
    SELECT contact_id, conversation_id FROM marts.conversation_sessions
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
), sessions AS (
    SELECT contact_id, count(*) AS sessions
    FROM begun
    WHERE conversation_id NOT IN (
        SELECT conversation_id FROM core.conversations
        WHERE conversation_id IN (SELECT conversation_id FROM begun) AND deleted_at IS NOT NULL
    )
    GROUP BY contact_id
), written AS (
    SELECT
        contact_id,
        count(*) FILTER (direction = 'inbound') AS inbound_messages,
        count(*) FILTER (direction = 'outbound') AS outbound_messages,
        count(*) FILTER (is_charged) AS charged_messages,
        count(*) FILTER (is_charged IS NULL) AS unknown_messages,
        min(sent_at) AS first_at,
        max(sent_at) AS last_at
    FROM temp.contact_messages
    GROUP BY contact_id
), called AS (
    SELECT contact_id, count(*) AS calls, min(started_at) AS first_at, max(started_at) AS last_at
    FROM core.calls
    WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope) AND deleted_at IS NULL
        AND in_calendar(started_at)
    GROUP BY contact_id
), costs AS (
    -- Apart: with OR between them every row there is would be read, for however few contacts.
    SELECT message_key, currency, cost, confidence FROM marts.message_costs
    WHERE conversation_id IN (
        SELECT conversation_id FROM temp.contact_messages
        -- DuckLake looks for files by it; no mart has a row of one with a NUL.
        WHERE NOT contains(conversation_id, chr(0))
    )
    UNION ALL
    SELECT message_key, currency, cost, confidence FROM marts.message_costs
    WHERE conversation_id IS NULL
), priced AS (
    SELECT
        m.contact_id,
        k.currency,
        sum(k.cost) FILTER (k.confidence = 'flagged') AS cost,
        sum(k.cost) FILTER (k.confidence = 'unknown') AS unknown_cost
    FROM costs k
    JOIN temp.contact_messages m USING (message_key)
    WHERE k.currency IS NOT NULL
    GROUP BY ALL
), spent AS (
    SELECT
        contact_id,
        to_json(map_from_entries(
            list((currency, cost::VARCHAR) ORDER BY currency) FILTER (cost IS NOT NULL)
        )) AS costs,
        to_json(map_from_entries(
            list((currency, unknown_cost::VARCHAR) ORDER BY currency)
            FILTER (unknown_cost IS NOT NULL)
        )) AS unknown_costs
    FROM priced
    GROUP BY contact_id
), chosen AS (
    SELECT
        contact_id,
        to_json(map_from_entries(
            list((property_name, select_value) ORDER BY property_name)
        )) AS select_properties
    FROM (
        SELECT contact_id, property_name, max(select_value) AS select_value
        FROM core.contact_properties
        WHERE contact_id IN (SELECT contact_id FROM temp.contacts_in_scope)
            AND property_type = 'select' AND select_value IS NOT NULL AND property_name IS NOT NULL
        GROUP BY ALL
    )
    GROUP BY contact_id
)
SELECT
    contact_id,
    c.name,
    c.phone_e164,
    c.country,
    least(c.created_at, w.first_at, called.first_at) AS first_seen_at,
    greatest(w.last_at, called.last_at) AS last_activity_at,
    coalesce(t.conversations, 0) AS conversations,
    coalesce(s.sessions, 0) AS sessions,
    coalesce(w.inbound_messages, 0) AS inbound_messages,
    coalesce(w.outbound_messages, 0) AS outbound_messages,
    coalesce(called.calls, 0) AS calls,
    coalesce(w.charged_messages, 0) AS charged_messages,
    coalesce(w.unknown_messages, 0) AS unknown_messages,
    coalesce(spent.costs, '{}') AS costs,
    coalesce(spent.unknown_costs, '{}') AS unknown_costs,
    coalesce(chosen.select_properties, '{}') AS select_properties
FROM temp.contacts c
LEFT JOIN conversations t USING (contact_id)
LEFT JOIN sessions s USING (contact_id)
LEFT JOIN written w USING (contact_id)
LEFT JOIN called USING (contact_id)
LEFT JOIN spent USING (contact_id)
LEFT JOIN chosen USING (contact_id)
WHERE c.deleted_at IS NULL
