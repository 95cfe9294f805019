-- Messages of a day by everything that decides their price, and the money.
--
-- Costs never stand without their uncertainty: `unknown_messages` and `unknown_cost` stand beside what webhooks
-- mark billable. No rate that fits: cost and currency are NULL, the messages still count. Add up
-- costs within one currency only.
--
-- Metrics: {metric:message_cost}, {metric:charged_messages}.
--
-- grain: date, channel_id, direction, message_type, country, currency
-- subject: billing
-- scope: day
--
-- date DATE: reporting day, by sent_at
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows the messages
-- country VARCHAR: of the contact's number
-- currency VARCHAR: of the rate; NULL where nothing is charged, or no rate is known
-- messages BIGINT: messages, failed ones too
-- delivered BIGINT: of these, delivered or read
-- failed BIGINT: of these, failed
-- billable_messages BIGINT: of these, those that a webhook called billable, delivered or not
-- charged_messages BIGINT: of these, delivered or read and billable
-- unknown_messages BIGINT: of these, those of which it is unknown whether they are charged
-- unknown_category_messages BIGINT: of the charged and unknown messages, those whose price depends on a
-- category that is unknown; their cost is in neither of the two
-- estimated_cost DECIMAL(18,6): of charged messages, in currency; NULL without a rate, or from
-- 10^12 on
-- unknown_cost DECIMAL(18,6): of unknown messages, if they are charged, in currency
-- unknown_category_cost_low DECIMAL(18,6): least cost of those of unknown category
-- unknown_category_cost_high DECIMAL(18,6): highest cost of these
-- first_charged_on DATE: earliest reporting day on which one of the messages was charged
-- last_charged_on DATE: latest of these days; sums by that day are in message_charges_daily
SELECT
    m.date,
    m.channel_id,
    m.direction,
    m.message_type,
    c.country,
    k.currency,
    count(*) AS messages,
    count(*) FILTER (m.status IN ('delivered', 'read')) AS delivered,
    count(*) FILTER (m.status = 'failed') AS failed,
    count(*) FILTER (m.is_billable) AS billable_messages,
    count(*) FILTER (m.is_charged) AS charged_messages,
    count(*) FILTER (m.is_charged IS NULL) AS unknown_messages,
    count(*) FILTER (k.cost_high IS NOT NULL AND k.cost IS NULL) AS unknown_category_messages,
    TRY_CAST(sum(CASE WHEN k.currency IS NOT NULL
        THEN CASE k.confidence WHEN 'flagged' THEN coalesce(k.cost, 0) ELSE 0 END END)
        AS DECIMAL(18,6)) AS estimated_cost,
    TRY_CAST(sum(CASE WHEN k.currency IS NOT NULL
        THEN CASE k.confidence WHEN 'unknown' THEN coalesce(k.cost, 0) ELSE 0 END END)
        AS DECIMAL(18,6)) AS unknown_cost,
    TRY_CAST(sum(k.cost_low) FILTER (k.cost IS NULL) AS DECIMAL(18,6)) AS unknown_category_cost_low,
    TRY_CAST(sum(k.cost_high) FILTER (k.cost IS NULL) AS DECIMAL(18,6))
        AS unknown_category_cost_high,
    min(k.charged_on) AS first_charged_on,
    max(k.charged_on) AS last_charged_on
FROM temp.day_messages m
LEFT JOIN (
    SELECT message_key, cost, cost_low, cost_high, currency, confidence, charged_on
    FROM marts.message_costs
    WHERE sent_on IN (SELECT date FROM temp.days_in_scope)
) k USING (message_key)
LEFT JOIN core.contacts c ON c.contact_id = m.contact_id
GROUP BY ALL
