-- Messages of the conversations in scope that cost something, or perhaps do: outbound, delivered or read
-- and not surely free; with all that a rate card selects them by.
--
-- grain: message_key
--
-- message_key VARCHAR: the message
-- conversation_id VARCHAR: its conversation, '' while that is unknown
-- channel_id VARCHAR: its channel
-- moment TIMESTAMPTZ: its own time
-- charged_at TIMESTAMPTZ: the earlier of delivered_at and read_at, else its own time
-- billed_on DATE: the same as a day of the bill
-- billed_month DATE: first day of the bill's month
-- country VARCHAR: of the contact's number
-- market VARCHAR: of the number's calling code; NULL without a number
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows it
-- category VARCHAR: marketing, utility, …, service, or unknown
-- category_from VARCHAR: how the category is known
-- rate_channel VARCHAR: its channel, where any rate names that
-- is_charged BOOLEAN: NULL when unknown
WITH charged AS (
    SELECT
        m.message_key,
        m.conversation_id,
        m.channel_id,
        m.moment,
        coalesce(m.arrived_at, m.moment) AS charged_at,
        billing_date(coalesce(m.arrived_at, m.moment)) AS billed_on,
        c.country,
        -- The longest calling codes have four digits.
        substr(c.phone_e164, 2, 4) AS head,
        m.message_type,
        m.is_charged
    FROM temp.messages m
    LEFT JOIN core.contacts c ON c.contact_id = m.contact_id
    WHERE m.direction = 'outbound' AND m.status IN ('delivered', 'read')
        AND m.is_charged IS NOT FALSE
), markets AS (
    -- Of the codes that a number begins with the longest decides.
    SELECT h.head, k.market, k.since, k.until
    FROM (SELECT DISTINCT head FROM charged WHERE head <> '') h
    JOIN temp.calling_codes k ON starts_with(h.head, k.code)
    QUALIFY rank() OVER (PARTITION BY h.head ORDER BY length(k.code) DESC) = 1
)
SELECT
    c.* EXCLUDE (head),
    TRY_CAST(date_trunc('month', c.billed_on) AS DATE) AS billed_month,
    coalesce(k.market, CASE WHEN c.head <> '' THEN 'Other' END) AS market,
    CASE WHEN c.message_type <> 'template' THEN 'service' ELSE 'unknown' END AS category,
    CASE WHEN c.message_type <> 'template' THEN 'message_type' ELSE 'unknown' END AS category_from,
    CASE WHEN c.channel_id IN (SELECT channel FROM temp.rates) THEN c.channel_id END
        AS rate_channel
FROM charged c
LEFT JOIN markets k ON k.head = c.head AND c.billed_on >= k.since AND c.billed_on < k.until
