-- Calls of a day.
--
-- A missed call can have been picked up, by a machine: answered and picked up are two things.
--
-- Metrics: {metric:answer_rate}, {metric:missed_calls}.
--
-- grain: date, channel_id, direction
-- subject: calls
-- scope: day
--
-- date DATE: reporting day, by started_at
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- calls BIGINT: calls
-- answered BIGINT: of these, completed
-- picked_up BIGINT: of these, with a known pickup time
-- missed BIGINT: inbound calls that ended without being completed
-- answer_rate DOUBLE: answered / calls, 0 to 1
-- total_seconds DOUBLE: length of all of them, seconds
-- median_ringing_seconds DOUBLE: how long they rang, seconds
SELECT
    date,
    channel_id,
    direction,
    count(*) AS calls,
    count(*) FILTER (is_completed) AS answered,
    count(*) FILTER (is_answered) AS picked_up,
    count(*) FILTER (direction = 'inbound' AND NOT is_completed) AS missed,
    count(*) FILTER (is_completed) / count(*) AS answer_rate,
    total_seconds(duration_seconds) AS total_seconds,
    median(ringing_seconds) AS median_ringing_seconds
FROM temp.day_calls
GROUP BY ALL
