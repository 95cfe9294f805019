-- Why outbound messages of a day failed.
--
-- grain: date, channel_id, error_code
-- subject: messages
-- scope: day
--
-- date DATE: reporting day, by sent_at
-- channel_id VARCHAR: the channel
-- error_code BIGINT: the provider's; NULL where it gave none
-- failures BIGINT: failed messages
-- reason VARCHAR: its words most often sent with that code; the first in the alphabet of equals
WITH worded AS (
    SELECT date, channel_id, error_code, error_reason, count(*) AS failures
    FROM temp.day_messages
    WHERE direction = 'outbound' AND status = 'failed'
    GROUP BY ALL
)
SELECT
    date,
    channel_id,
    error_code,
    sum(failures)::BIGINT AS failures,
    (list({'n': -failures, 'reason': error_reason} ORDER BY failures DESC, error_reason)
        FILTER (error_reason IS NOT NULL))[1].reason AS reason
FROM worded
GROUP BY ALL
