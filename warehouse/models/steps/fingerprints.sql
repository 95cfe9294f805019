-- What daily marts and contact summaries read of a conversation, hashed to a number a day and contact.
-- Where the number changes, that day and that contact are computed, and no other. Which columns are
-- hashed follows from the marts: warehouse/marts/refresh.py.
--
-- Calls that belong to no conversation are here as those of the conversation ''.
--
-- grain: conversation_id, date, contact_id
--
-- conversation_id VARCHAR: the conversation
-- date DATE: reporting day
-- contact_id VARCHAR: the contact
-- fingerprint BIGINT: changes when anything of it does
WITH calls AS (
    SELECT * FROM core.calls
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT * REPLACE ('' AS conversation_id) FROM core.calls
    WHERE conversation_id IS NULL AND '' IN (SELECT conversation_id FROM temp.conversations_in_scope)
), parts AS (
    -- The conversation itself is part of the summary of its contact, of no day.
    SELECT conversation_id, DATE '0001-01-01' AS date, contact_id,
        hash({columns of core.conversations read by contact}) AS part
    FROM core.conversations
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT m.conversation_id, local_date(m.moment) AS date, m.contact_id,
        hash(m.content, c.content) AS part
    FROM temp.messages m
    LEFT JOIN (
        SELECT contact_id, hash({columns of core.contacts read by day}) AS content
        FROM core.contacts
    ) c ON c.contact_id = m.contact_id
    UNION ALL
    SELECT conversation_id, local_date(started_at), contact_id,
        hash({columns of core.calls read by day, contact})
    FROM calls
    WHERE in_calendar(started_at)
    UNION ALL
    SELECT conversation_id, answered_on, contact_id,
        hash({columns of marts.response_times read by day, contact})
    FROM marts.response_times
    WHERE answered_on IS NOT NULL
        AND conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT conversation_id, started_on, contact_id,
        hash({columns of marts.conversation_sessions read by day, contact})
    FROM marts.conversation_sessions
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT m.conversation_id, k.sent_on, m.contact_id, k.content
    FROM (
        -- Apart: with OR between them every row there is would be read.
        SELECT message_key, sent_on, hash({columns of marts.message_costs read by day, contact})
            AS content
        FROM marts.message_costs
        WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
        UNION ALL
        SELECT message_key, sent_on, hash({columns of marts.message_costs read by day, contact})
        FROM marts.message_costs
        WHERE conversation_id IS NULL
            AND '' IN (SELECT conversation_id FROM temp.conversations_in_scope)
    ) k
    JOIN temp.messages m USING (message_key)
)
SELECT
    conversation_id,
    date,
    contact_id,
    -- Hashed once more: of several values DuckDB only xors the last one in, so that two rows which
    -- change alike would cancel each other out.
    (bit_xor(hash(part)) >> 1)::BIGINT AS fingerprint
FROM parts
GROUP BY conversation_id, date, contact_id
