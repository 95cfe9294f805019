-- What was charged on a day of the bill, whenever it was sent, by everything that decides its price.
--
-- Unlike message_billing_daily, whose days are those of sending. Add up costs within one currency only.
--
-- Metrics: {metric:message_cost}, {metric:message_category}, {metric:message_market}.
--
-- grain: date, channel_id, market, country, category, message_type, currency
-- subject: billing
-- view: yes
--
-- date DATE: day in HATIF_BILLING_TIMEZONE on which the messages were charged
-- channel_id VARCHAR: the channel
-- market VARCHAR: on WhatsApp's price list
-- country VARCHAR: of the contact's number
-- category VARCHAR: marketing, utility, authentication, …, service, or unknown
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows the messages
-- currency VARCHAR: of the rate; NULL where none is known
-- messages BIGINT: messages charged, or perhaps charged
-- charged_messages BIGINT: of these, those that a webhook called billable
-- unknown_messages BIGINT: of these, those without a webhook
-- free_messages BIGINT: of the charged messages, those that cost nothing
-- unknown_category_messages BIGINT: those whose price depends on a category that is unknown
-- estimated_cost DECIMAL(18,6): of charged messages, those of unknown price left out
-- unknown_cost DECIMAL(18,6): of unknown messages, if they are charged
-- unknown_category_cost_low DECIMAL(18,6): least cost of those of unknown category
-- unknown_category_cost_high DECIMAL(18,6): highest cost of these
SELECT
    billed_on AS date,
    channel_id,
    market,
    country,
    category,
    message_type,
    currency,
    count(*) AS messages,
    count(*) FILTER (confidence = 'flagged') AS charged_messages,
    count(*) FILTER (confidence = 'unknown') AS unknown_messages,
    count(*) FILTER (confidence = 'flagged' AND is_free) AS free_messages,
    count(*) FILTER (cost IS NULL AND cost_high IS NOT NULL) AS unknown_category_messages,
    TRY_CAST(CASE WHEN currency IS NOT NULL
        THEN coalesce(sum(cost) FILTER (confidence = 'flagged'), 0) END AS DECIMAL(18,6))
        AS estimated_cost,
    TRY_CAST(CASE WHEN currency IS NOT NULL
        THEN coalesce(sum(cost) FILTER (confidence = 'unknown'), 0) END AS DECIMAL(18,6))
        AS unknown_cost,
    TRY_CAST(sum(cost_low) FILTER (cost IS NULL) AS DECIMAL(18,6)) AS unknown_category_cost_low,
    TRY_CAST(sum(cost_high) FILTER (cost IS NULL) AS DECIMAL(18,6)) AS unknown_category_cost_high
FROM marts.message_costs
WHERE billed_on IS NOT NULL
GROUP BY billed_on, channel_id, market, country, category, message_type, currency
