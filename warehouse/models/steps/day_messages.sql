-- Messages of the days in scope.
--
-- grain: message_key
--
-- date DATE: reporting day, by sent_at
-- message_key VARCHAR: the message
-- user_id VARCHAR: the sender user or AI agent
-- delivery_seconds DOUBLE: from its own time until it was delivered or read
WITH messages AS (
    SELECT local_date(sent_at) AS date, *
    FROM core.messages
    WHERE sent_at >= getvariable('days_begin') AND sent_at < getvariable('days_end')
        AND in_calendar(sent_at)
)
SELECT
    date,
    message_key,
    conversation_id,
    contact_id,
    channel_id,
    direction,
    message_type,
    status,
    error_code,
    error_reason,
    acting_user(origin, sender_user_id, ai_agent_id) AS user_id,
    origin,
    is_billable,
    is_charged,
    in_timeline,
    in_webhooks,
    (epoch_us(least(delivered_at, read_at)) - epoch_us(sent_at)) / 1e6 AS delivery_seconds
FROM messages
WHERE date IN (SELECT date FROM temp.days_in_scope)
