-- An outbound message that was delivered or read and is not surely free, with its price.
--
-- The price is the rate card's (HATIF_RATE_CARD) that was in force when the message was charged; a
-- country outranks a message type. No price known: cost and currency are NULL, the row stays.
--
-- Metrics: {metric:message_cost}.
--
-- grain: message_key
-- scope: conversation
-- sorted: conversation_id
--
-- message_key VARCHAR: the message
-- conversation_id VARCHAR: its conversation; NULL while that is unknown
-- channel_id VARCHAR: its channel
-- sent_on DATE: reporting day of the message
-- charged_at TIMESTAMPTZ: the earlier of delivered_at and read_at, else its own time
-- charged_on DATE: the same as a reporting day
-- country VARCHAR: of the contact's number
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows the message
-- category VARCHAR: the rate card's label
-- rate DECIMAL(18,6): price of one message
-- cost DECIMAL(18,6): price of this message
-- currency VARCHAR: ISO 4217
-- rate_effective_from TIMESTAMPTZ: since when that rate applies
-- confidence VARCHAR: flagged (a webhook has it billable) or unknown (no webhook)
WITH charged AS (
    SELECT
        m.message_key,
        m.conversation_id,
        m.channel_id,
        m.moment,
        coalesce(m.arrived_at, m.moment) AS charged_at,
        c.country,
        m.message_type,
        m.is_charged
    FROM temp.messages m
    LEFT JOIN core.contacts c ON c.contact_id = m.contact_id
    WHERE m.direction = 'outbound' AND m.status IN ('delivered', 'read')
        AND m.is_charged IS NOT FALSE
), kinds AS (
    SELECT DISTINCT country, message_type FROM charged
), fitting AS (
    -- For each kind the rates that may apply, and the instants moment which another may take over.
    SELECT
        k.country, k.message_type, r.effective_from, r.currency, r.rate, r.category,
        (r.country <> '*')::INTEGER * 2 + (r.message_type <> '*')::INTEGER AS rank
    FROM kinds k
    JOIN temp.rates r
        ON r.country IN ('*', k.country) AND r.message_type IN ('*', k.message_type)
), in_force AS (
    SELECT
        coalesce(s.country, '') AS country,
        coalesce(s.message_type, '') AS message_type,
        s.effective_from AS begins_at,
        max_by(
            {'effective_from': f.effective_from, 'currency': f.currency, 'rate': f.rate,
                'category': f.category},
            {'rank': f.rank, 'effective_from': f.effective_from}
        ) AS rate
    FROM (SELECT DISTINCT country, message_type, effective_from FROM fitting) s
    JOIN fitting f ON f.country IS NOT DISTINCT FROM s.country
        AND f.message_type IS NOT DISTINCT FROM s.message_type
        AND f.effective_from <= s.effective_from
    GROUP BY ALL
)
SELECT
    c.message_key,
    nullif(c.conversation_id, '') AS conversation_id,
    c.channel_id,
    local_date(c.moment) AS sent_on,
    c.charged_at,
    local_date(c.charged_at) AS charged_on,
    c.country,
    c.message_type,
    i.rate.category AS category,
    i.rate.rate AS rate,
    i.rate.rate AS cost,
    i.rate.currency AS currency,
    i.rate.effective_from AS rate_effective_from,
    CASE WHEN c.is_charged THEN 'flagged' ELSE 'unknown' END AS confidence
FROM charged c
ASOF LEFT JOIN in_force i
    ON i.country = coalesce(c.country, '') AND i.message_type = coalesce(c.message_type, '')
    AND c.charged_at >= i.begins_at
