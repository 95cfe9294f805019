-- The bill of a month, as we make it of messages: by market, category and channel.
--
-- Add up costs within one currency only; a category that is unknown is a range beside the sums.
--
-- Metrics: {metric:message_cost}, {metric:message_category}, {metric:message_market}.
--
-- grain: month, market, category, channel_id, currency
-- subject: billing
-- view: yes
--
-- month DATE: first day of the month in HATIF_BILLING_TIMEZONE in which the messages were charged
-- market VARCHAR: on WhatsApp's price list
-- category VARCHAR: marketing, utility, authentication, …, service, or unknown
-- channel_id VARCHAR: the channel
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
    TRY_CAST(date_trunc('month', date) AS DATE) AS month,
    market,
    category,
    channel_id,
    currency,
    TRY_CAST(sum(messages) AS BIGINT) AS messages,
    TRY_CAST(sum(charged_messages) AS BIGINT) AS charged_messages,
    TRY_CAST(sum(unknown_messages) AS BIGINT) AS unknown_messages,
    TRY_CAST(sum(free_messages) AS BIGINT) AS free_messages,
    TRY_CAST(sum(unknown_category_messages) AS BIGINT) AS unknown_category_messages,
    TRY_CAST(sum(estimated_cost) AS DECIMAL(18,6)) AS estimated_cost,
    TRY_CAST(sum(unknown_cost) AS DECIMAL(18,6)) AS unknown_cost,
    TRY_CAST(sum(unknown_category_cost_low) AS DECIMAL(18,6)) AS unknown_category_cost_low,
    TRY_CAST(sum(unknown_category_cost_high) AS DECIMAL(18,6)) AS unknown_category_cost_high
FROM marts.message_charges_daily
GROUP BY ALL
