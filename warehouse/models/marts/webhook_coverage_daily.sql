-- How many of a day's messages timelines and webhooks each reported: where webhooks were missed.
--
-- What only webhooks know (billing, receipt times) cannot be had from anywhere else, so a coverage
-- below 1 is lost for good; a message that only webhooks know is one whose timeline is yet to be
-- read.
--
-- grain: date, channel_id
-- subject: messages
-- scope: day
--
-- date DATE: reporting day, by sent_at
-- channel_id VARCHAR: the channel
-- timeline_messages BIGINT: messages in a timeline
-- webhook_messages BIGINT: messages that webhooks reported
-- both BIGINT: messages in both
-- only_timeline BIGINT: messages whose webhooks were missed
-- only_webhooks BIGINT: messages whose timeline is yet to be read
-- coverage DOUBLE: both / timeline_messages, 0 to 1; NULL over 0
SELECT
    date,
    channel_id,
    count(*) FILTER (in_timeline) AS timeline_messages,
    count(*) FILTER (in_webhooks) AS webhook_messages,
    count(*) FILTER (in_timeline AND in_webhooks) AS both,
    count(*) FILTER (in_timeline AND NOT in_webhooks) AS only_timeline,
    count(*) FILTER (in_webhooks AND NOT in_timeline) AS only_webhooks,
    count(*) FILTER (in_timeline AND in_webhooks)
        / nullif(count(*) FILTER (in_timeline), 0) AS coverage
FROM temp.day_messages
GROUP BY ALL
