-- The service level of a day's inbound calls, under each formula in use; the same calls give figures
-- that differ by five points, so name the formula with the figure.
--
-- In time: within the threshold, by ringing time; an unknown ringing time is not in time. Abandoned:
-- not picked up. Short: abandoned within 5 s. Calls that still ring, or of which nothing is known
-- whether they were picked up, are in no formula: `unknown_calls`.
--
-- Metrics: {metric:service_level}.
--
-- grain: date, channel_id, formula, threshold_seconds
-- subject: calls
-- scope: day
--
-- date DATE: reporting day, by started_at
-- channel_id VARCHAR: the channel
-- formula VARCHAR: all_in_time, answered_only, answered_and_abandoned, late_abandons_only,
-- short_abandons_removed, short_abandons_as_success or abandons_removed
-- threshold_seconds INTEGER: 10, 20, 30 or 60
-- numerator BIGINT: calls that count as served in time
-- denominator BIGINT: calls they are measured against
-- value DOUBLE: numerator / denominator, 0 to 1; NULL over 0
-- unknown_calls BIGINT: inbound calls left out
WITH counted AS (
    SELECT
        date,
        channel_id,
        t.seconds::INTEGER AS threshold_seconds,
        count(*) FILTER (is_answered) AS answered,
        count(*) FILTER (is_answered AND ringing_seconds <= t.seconds) AS in_time,
        count(*) FILTER (NOT is_answered) AS abandoned,
        count(*) FILTER (NOT is_answered AND ringing_seconds <= t.seconds) AS abandoned_in_time,
        count(*) FILTER (NOT is_answered AND ringing_seconds <= 5) AS short,
        count(*) FILTER (is_answered IS NULL) AS unknown_calls
    FROM (
        SELECT date, channel_id, ringing_seconds,
            CASE WHEN is_under_way(status) IS NOT TRUE THEN is_answered END AS is_answered
        FROM temp.day_calls
        WHERE direction = 'inbound'
    )
    CROSS JOIN (SELECT unnest([10, 20, 30, 60]) AS seconds) t
    GROUP BY ALL
)
SELECT
    date,
    channel_id,
    f.formula,
    threshold_seconds,
    f.numerator,
    f.denominator,
    f.numerator / nullif(f.denominator, 0) AS value,
    unknown_calls
FROM counted
CROSS JOIN LATERAL (
    VALUES
        ('all_in_time', in_time + abandoned_in_time, answered + abandoned),
        ('answered_only', in_time, answered),
        ('answered_and_abandoned', in_time, answered + abandoned),
        ('late_abandons_only', in_time, answered + abandoned - abandoned_in_time),
        ('short_abandons_removed', in_time, answered + abandoned - short),
        ('short_abandons_as_success', in_time + short, answered + abandoned),
        ('abandons_removed', in_time, answered + abandoned - abandoned)
) f(formula, numerator, denominator)
