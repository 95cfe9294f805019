-- How far the outbound messages of a day came; a message that was read counts as delivered, too.
--
-- Metrics: {metric:delivery_rate}, {metric:read_rate}, {metric:failure_rate}.
--
-- grain: date, channel_id, message_type
-- subject: messages
-- scope: day
--
-- date DATE: reporting day, by sent_at
-- channel_id VARCHAR: the channel
-- message_type VARCHAR: text, template, …; NULL when only the timeline knows the messages
-- attempted BIGINT: all outbound messages
-- pending BIGINT: those still on their way to the provider
-- sent BIGINT: sent, delivered or read
-- delivered BIGINT: delivered or read
-- read BIGINT: read
-- failed BIGINT: failed
-- delivery_rate DOUBLE: delivered / (sent + failed), 0 to 1; NULL over 0
-- read_rate DOUBLE: read / delivered, 0 to 1; NULL over 0
-- failure_rate DOUBLE: failed / (sent + failed), 0 to 1; NULL over 0
-- median_delivery_seconds DOUBLE: from sending until we learned of delivery or reading, seconds
-- p95_delivery_seconds DOUBLE: 95 % took no longer, seconds
WITH counted AS (
    SELECT
        date,
        channel_id,
        message_type,
        count(*) AS attempted,
        count(*) FILTER (status = 'pending') AS pending,
        count(*) FILTER (status IN ('sent', 'delivered', 'read')) AS sent,
        count(*) FILTER (status IN ('delivered', 'read')) AS delivered,
        count(*) FILTER (status = 'read') AS read,
        count(*) FILTER (status = 'failed') AS failed,
        quantile_cont(delivery_seconds, [0.5, 0.95]) AS quantiles
    FROM temp.day_messages
    WHERE direction = 'outbound'
    GROUP BY ALL
)
SELECT
    * EXCLUDE (quantiles),
    delivered / nullif(sent + failed, 0) AS delivery_rate,
    read / nullif(delivered, 0) AS read_rate,
    failed / nullif(sent + failed, 0) AS failure_rate,
    quantiles[1] AS median_delivery_seconds,
    quantiles[2] AS p95_delivery_seconds
FROM counted
