-- Messages of the conversations in scope that cost something, or perhaps do: outbound, delivered or read
-- and not surely free; with all that a rate card selects them by.
--
-- grain: message_key
--
-- message_key VARCHAR: the message
-- conversation_id VARCHAR: its conversation, '' while that is unknown
-- channel_id VARCHAR: its channel
-- contact_id VARCHAR: its contact
-- moment TIMESTAMPTZ: its own time
-- charged_at TIMESTAMPTZ: the earlier of delivered_at and read_at, else its own time
-- billed_on DATE: the same as a day of the bill
-- billed_month DATE: first day of the bill's month
-- country VARCHAR: of the contact's number
-- market VARCHAR: of the number's calling code; NULL without a number
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows it
-- category VARCHAR: marketing, utility, …, service, or unknown
-- category_from VARCHAR: how the category is known
-- template VARCHAR: name of the template, where that is known
-- rate_channel VARCHAR: its channel, where any rate names that
-- is_charged BOOLEAN: NULL when unknown
WITH charged AS (
    SELECT
        m.message_key,
        m.conversation_id,
        m.channel_id,
        m.contact_id,
        m.moment,
        coalesce(m.arrived_at, m.moment) AS charged_at,
        billing_date(coalesce(m.arrived_at, m.moment)) AS billed_on,
        c.country,
        -- The longest calling codes have four digits.
        substr(c.phone_e164, 2, 4) AS head,
        m.message_type,
        m.is_charged,
        m.event_id,
        lower(m.wamid) AS wamid,
        CASE WHEN (SELECT count(*) FROM temp.templates) > 0 THEN folded_text(m.template_text) END
            AS text
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
), texts AS (
    SELECT DISTINCT text FROM charged WHERE text <> ''
), fitting AS (
    -- Most templates begin with letters of their own, by which few need to be compared.
    SELECT t.text, p.template, p.category, p.weight
    FROM texts t
    JOIN temp.templates p ON p.head = left(t.text, 8)
    WHERE t.text LIKE p.pattern ESCAPE '\'
    UNION ALL
    SELECT t.text, p.template, p.category, p.weight
    FROM texts t
    JOIN temp.templates p ON length(p.head) < 8 AND starts_with(t.text, p.head)
    WHERE t.text LIKE p.pattern ESCAPE '\'
), named AS (
    -- The longest that fits; where two of different categories fit alike, neither.
    SELECT
        text,
        CASE WHEN min(category) = max(category) THEN min(category) END AS category,
        CASE WHEN min(template) = max(template) THEN min(template) END AS template
    FROM (
        SELECT * FROM fitting QUALIFY rank() OVER (PARTITION BY text ORDER BY weight DESC) = 1
    )
    GROUP BY text
)
SELECT
    c.* EXCLUDE (head, event_id, wamid, text),
    TRY_CAST(date_trunc('month', c.billed_on) AS DATE) AS billed_month,
    coalesce(k.market, CASE WHEN c.head <> '' THEN 'Other' END) AS market,
    coalesce(
        w.category, e.category, n.category,
        CASE WHEN c.message_type <> 'template' THEN 'service' ELSE 'unknown' END
    ) AS category,
    CASE
        WHEN w.category IS NOT NULL OR e.category IS NOT NULL THEN 'message'
        WHEN n.category IS NOT NULL THEN 'template'
        WHEN c.message_type <> 'template' THEN 'message_type'
        WHEN n.text IS NOT NULL THEN 'ambiguous'
        ELSE 'unknown'
    END AS category_from,
    coalesce(w.template, e.template, n.template) AS template,
    CASE WHEN c.channel_id IN (SELECT channel FROM temp.rates) THEN c.channel_id END
        AS rate_channel
FROM charged c
LEFT JOIN markets k ON k.head = c.head AND c.billed_on >= k.since AND c.billed_on < k.until
LEFT JOIN ops.message_categories w ON w.message_id = c.wamid
LEFT JOIN ops.message_categories e ON e.message_id = c.event_id
LEFT JOIN named n ON n.text = c.text
