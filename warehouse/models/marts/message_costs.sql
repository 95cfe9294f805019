-- An outbound message that was delivered or read and is not surely free, with its price.
--
-- The price is the rate card's (HATIF_RATE_CARD): the most selective rate in force when the message was
-- charged (market or country, then category, then message type, then channel), then the latest, then
-- the highest volume that its market and category have reached in the month of the bill. A category
-- that is unknown gives a range. No price known: cost and currency are NULL, the row stays.
--
-- Metrics: {metric:message_cost}, {metric:message_category}, {metric:message_market}.
--
-- grain: message_key
-- subject: billing
-- scope: conversation
-- sorted: conversation_id
--
-- message_key VARCHAR: the message
-- conversation_id VARCHAR: its conversation; NULL while that is unknown
-- channel_id VARCHAR: its channel
-- contact_id VARCHAR: its contact
-- sent_on DATE: reporting day of the message
-- charged_at TIMESTAMPTZ: the earlier of delivered_at and read_at, else its own time
-- charged_on DATE: the same as a reporting day
-- billed_on DATE: the same as a day in HATIF_BILLING_TIMEZONE
-- billed_month DATE: first day of that month
-- country VARCHAR: of the contact's number
-- market VARCHAR: on WhatsApp's price list, by the number's calling code; NULL without a number
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows the message
-- category VARCHAR: marketing, utility, authentication, …, service, or unknown
-- category_from VARCHAR: how it is known: message (HATIF_MESSAGE_CATEGORIES), template (its text is one
-- of HATIF_TEMPLATES), message_type (what is no template is service), unknown, or ambiguous (two
-- templates of different categories fit alike)
-- template VARCHAR: name of the template, where one of these files has it
-- tier BIGINT: from_volume of its rate: so many messages were charged before that applies; NULL
-- without a rate, or where the category decides
-- is_free BOOLEAN: it costs nothing though it is charged; NULL without a price
-- free_reason VARCHAR: allowance (free_per_month of its rate) or rate (a rate of 0)
-- rate DECIMAL(18,6): price of one message
-- cost DECIMAL(18,6): price of this message; NULL where it depends on a category that is unknown
-- cost_low DECIMAL(18,6): least price, over the categories it could be of; only where that is unknown
-- cost_high DECIMAL(18,6): highest price of these
-- currency VARCHAR: ISO 4217
-- rate_effective_from TIMESTAMPTZ: since when that rate applies
-- confidence VARCHAR: flagged (a webhook has it billable) or unknown (no webhook)
WITH options AS (
    -- What is priced: a message as of its category, or as of each that it could be of.
    SELECT *, category AS priced_as FROM temp.charged_messages WHERE category <> 'unknown'
    UNION ALL
    SELECT c.*, k.category
    FROM temp.charged_messages c CROSS JOIN temp.template_categories k
    WHERE c.category = 'unknown'
    UNION ALL
    SELECT *, 'service' FROM temp.charged_messages
    WHERE category = 'unknown' AND message_type IS NULL
), kinds AS (
    SELECT DISTINCT market, country, priced_as, message_type, rate_channel FROM options
), fitting AS (
    -- For each kind the rates that may apply, and the instants at which another may take over.
    SELECT
        coalesce(k.market, '') AS of_market, coalesce(k.country, '') AS of_country, k.priced_as,
        coalesce(k.message_type, '') AS of_type, coalesce(k.rate_channel, '') AS of_channel, r.*
    FROM kinds k
    JOIN temp.rates r
        ON r.market IN ('*', k.market) AND r.country IN ('*', k.country)
        AND r.category IN ('*', k.priced_as) AND r.message_type IN ('*', k.message_type)
        AND r.channel IN ('*', k.rate_channel)
), in_force AS MATERIALIZED (
    -- The rates in force from an instant on, the one that counts most first, down to the first that
    -- needs no volume.
    SELECT
        row_number() OVER () AS ladder, * EXCLUDE (found), found[1] AS first,
        list_slice(found, 1, coalesce(nullif(list_position(
            list_transform(found, lambda one: one.from_volume), 0), 0), len(found))) AS rates
    FROM (
        SELECT
            s.of_market, s.of_country, s.priced_as, s.of_type, s.of_channel,
            s.effective_from AS begins_at,
            list(
                {'market': f.market, 'country': f.country, 'category': f.category,
                    'effective_from': f.effective_from, 'currency': f.currency, 'rate': f.rate,
                    'from_volume': f.from_volume, 'free_per_month': f.free_per_month}
                ORDER BY f.precedence DESC, f.effective_from DESC, f.from_volume DESC
            ) AS found
        FROM (
            SELECT DISTINCT
                of_market, of_country, priced_as, of_type, of_channel, effective_from
            FROM fitting
        ) s
        JOIN fitting f USING (of_market, of_country, priced_as, of_type, of_channel)
        WHERE f.effective_from <= s.effective_from
        GROUP BY ALL
    )
), placed AS MATERIALIZED (
    SELECT
        o.message_key, o.priced_as, o.channel_id, o.charged_at, o.billed_month,
        CASE WHEN l.first.from_volume > 0 THEN l.ladder END AS ladder, l.first
    FROM options o
    ASOF LEFT JOIN in_force l
        ON l.of_market = coalesce(o.market, '') AND l.of_country = coalesce(o.country, '')
        AND l.priced_as = o.priced_as AND l.of_type = coalesce(o.message_type, '')
        AND l.of_channel = coalesce(o.rate_channel, '') AND o.charged_at >= l.begins_at
), climbed AS (
    -- Of the rates that begin at a volume, the first whose volume is reached.
    SELECT p.message_key, p.priced_as, arg_min(r.rate, r.place) AS rate
    FROM placed p
    JOIN (
        SELECT ladder, unnest(rates) AS rate, unnest(range(len(rates))) AS place FROM in_force
        WHERE first.from_volume > 0
    ) r ON r.ladder = p.ladder
    LEFT JOIN temp.price_boundaries b
        ON b.kind = 'volume' AND b.market = r.rate.market AND b.country = r.rate.country
        AND b.category = r.rate.category AND b.threshold = r.rate.from_volume
        AND b.month = p.billed_month
    WHERE r.rate.from_volume = 0 OR is_beyond(p.charged_at, p.message_key, b)
    GROUP BY ALL
), priced AS (
    SELECT p.*, CASE WHEN p.ladder IS NULL THEN p.first ELSE c.rate END AS rate
    FROM placed p
    LEFT JOIN climbed c ON c.message_key = p.message_key AND c.priced_as = p.priced_as
), allowed AS (
    SELECT
        p.message_key, p.priced_as, p.rate,
        p.rate.free_per_month > 0 AND NOT coalesce(is_beyond(p.charged_at, p.message_key, f), false)
            AS is_allowed
    FROM priced p
    LEFT JOIN temp.price_boundaries f
        ON p.rate.free_per_month > 0 AND f.kind = 'free' AND f.category = p.rate.category
        AND f.channel_id = coalesce(p.channel_id, '') AND f.threshold = p.rate.free_per_month
        AND f.month = p.billed_month
), prices AS (
    SELECT
        message_key,
        rate.from_volume AS tier,
        rate.rate AS rate,
        CASE WHEN is_allowed THEN 0 ELSE rate.rate END AS cost,
        NULL::DECIMAL(18,6) AS cost_low,
        NULL::DECIMAL(18,6) AS cost_high,
        rate.currency AS currency,
        rate.effective_from AS rate_effective_from,
        CASE WHEN is_allowed THEN 'allowance' WHEN rate.rate = 0 THEN 'rate' END AS free_reason
    FROM allowed
    WHERE message_key IN (SELECT message_key FROM temp.charged_messages WHERE category <> 'unknown')
    UNION ALL
    -- Where every category leads to one price, the price is known though the category is not.
    SELECT
        message_key,
        CASE WHEN is_sure THEN tier END,
        CASE WHEN is_sure AND lowest_rate = highest_rate THEN lowest_rate END,
        CASE WHEN is_sure THEN low END,
        CASE WHEN currencies = 1 THEN low END,
        CASE WHEN currencies = 1 THEN high END,
        CASE WHEN currencies = 1 THEN currency END,
        CASE WHEN is_sure THEN since END,
        CASE WHEN is_sure AND low = 0 THEN CASE WHEN is_allowed THEN 'allowance' ELSE 'rate' END END
    FROM (
        SELECT
            message_key,
            min(CASE WHEN is_allowed THEN 0 ELSE rate.rate END) AS low,
            max(CASE WHEN is_allowed THEN 0 ELSE rate.rate END) AS high,
            min(rate.rate) AS lowest_rate,
            max(rate.rate) AS highest_rate,
            count(DISTINCT rate.currency) AS currencies,
            min(rate.currency) AS currency,
            CASE WHEN min(rate.from_volume) = max(rate.from_volume) THEN min(rate.from_volume) END
                AS tier,
            CASE WHEN min(rate.effective_from) = max(rate.effective_from)
                THEN min(rate.effective_from) END AS since,
            bool_and(is_allowed) AS is_allowed,
            count(*) = count(rate.rate) AND low = high AND currencies = 1 AS is_sure
        FROM allowed
        WHERE message_key IN (
            SELECT message_key FROM temp.charged_messages WHERE category = 'unknown'
        )
        GROUP BY message_key
    )
)
SELECT
    c.message_key,
    nullif(c.conversation_id, '') AS conversation_id,
    c.channel_id,
    c.contact_id,
    local_date(c.moment) AS sent_on,
    c.charged_at,
    local_date(c.charged_at) AS charged_on,
    c.billed_on,
    c.billed_month,
    c.country,
    c.market,
    c.message_type,
    c.category,
    c.category_from,
    c.template,
    p.tier,
    CASE WHEN p.cost IS NOT NULL THEN p.free_reason IS NOT NULL END AS is_free,
    p.free_reason,
    p.rate,
    p.cost,
    p.cost_low,
    p.cost_high,
    p.currency,
    p.rate_effective_from,
    CASE WHEN c.is_charged THEN 'flagged' ELSE 'unknown' END AS confidence
FROM temp.charged_messages c
LEFT JOIN prices p ON p.message_key = c.message_key
