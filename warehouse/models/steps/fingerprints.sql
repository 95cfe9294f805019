-- What of a conversation shows in daily marts and contact summaries, boiled down to a number a day
-- and contact. Where the number changes, that day and that contact are computed anew, and no other.
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
    -- The conversation itself shows in the summary of its contact, on no day.
    SELECT conversation_id, DATE '0001-01-01' AS date, contact_id, hash(conversation_id, deleted_at)
        AS part
    FROM core.conversations
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT
        m.conversation_id,
        local_date(m.moment) AS date,
        m.contact_id,
        hash(
            m.message_key, m.moment, m.channel_id, m.direction, m.message_type, m.status, m.arrived_at,
            m.origin, m.user_id, m.is_billable, m.is_charged, m.error_code, m.error_reason,
            m.deleted_at, c.country,
            m.in_timeline, m.in_webhooks
        ) AS part
    FROM temp.messages m
    LEFT JOIN core.contacts c ON c.contact_id = m.contact_id
    UNION ALL
    SELECT
        conversation_id,
        local_date(started_at),
        contact_id,
        hash(
            call_key, started_at, channel_id, direction, status, is_answered, is_completed,
            duration_seconds, ringing_seconds, user_id, ai_agent_id, is_ai_call, deleted_at
        )
    FROM calls
    WHERE in_calendar(started_at)
    UNION ALL
    SELECT
        conversation_id,
        answered_on,
        contact_id,
        hash(turn_number, responder_user_id, late_responder_user_id, response_seconds,
            response_seconds_any)
    FROM marts.response_times
    WHERE answered_on IS NOT NULL
        AND conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT
        conversation_id,
        started_on,
        contact_id,
        hash(session_number, channel_id, first_response_seconds, first_response_seconds_any,
            is_unanswered)
    FROM marts.conversation_sessions
    WHERE conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
    UNION ALL
    SELECT
        m.conversation_id,
        k.sent_on,
        m.contact_id,
        hash(k.message_key, k.cost, k.currency, k.confidence)
    FROM marts.message_costs k
    JOIN temp.messages m USING (message_key)
    WHERE k.conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)
        OR k.conversation_id IS NULL
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
