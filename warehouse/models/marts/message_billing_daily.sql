-- Messages of a day by everything that decides their price, and the money.
--
-- Costs never stand without their uncertainty: `unknown_messages` and `unknown_cost` stand beside what webhooks
-- mark billable. No rate that fits: cost and currency are NULL, the messages still count. Add up
-- costs within one currency only.
--
-- Metrics: {metric:message_cost}, {metric:charged_messages}.
--
-- grain: date, channel_id, direction, message_type, country, currency
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
-- estimated_cost DECIMAL(18,6): of charged messages, in currency; NULL without a rate, or from
-- 10^12 on
-- unknown_cost DECIMAL(18,6): of unknown messages, if they are charged, in currency
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
    TRY_CAST(sum(CASE k.confidence WHEN 'flagged' THEN k.cost WHEN 'unknown' THEN 0 END)
        AS DECIMAL(18,6)) AS estimated_cost,
    TRY_CAST(sum(CASE k.confidence WHEN 'unknown' THEN k.cost WHEN 'flagged' THEN 0 END)
        AS DECIMAL(18,6)) AS unknown_cost
FROM temp.day_messages m
LEFT JOIN (
    SELECT message_key, cost, currency, confidence
    FROM marts.message_costs
    WHERE currency IS NOT NULL AND sent_on IN (SELECT date FROM temp.days_in_scope)
) k USING (message_key)
LEFT JOIN core.contacts c ON c.contact_id = m.contact_id
GROUP BY ALL
