-- Which call each call event of the timeline is: by its source id, else by contact and time.
--
-- Reads ``statuses`` (typed deliveries, `n` their order by receive time and body hash) and
-- ``timeline`` (call events); yields event_id and call_key, one event a call.
WITH known AS (
    SELECT
        call_id,
        arg_max(contact_id, n) AS contact_id,
        arg_max(channel_id, n) AS channel_id,
        arg_max(direction, n) AS direction,
        arg_max(started_at, n) AS started_at
    FROM statuses
    GROUP BY call_id
), events AS (
    -- A call that shows up in two timelines is one call; a living event before a deleted one.
    SELECT *, coalesce(identifier(source_id), event_id) AS own_key
    FROM timeline
    QUALIFY row_number() OVER (
        PARTITION BY own_key ORDER BY deleted_at IS NOT NULL, occurred_at, event_id
    ) = 1
), slotted AS (
    -- Two instants at most 5 s apart lie in the same or in neighbouring slots of 5 s.
    SELECT known.*, epoch_us(started_at) // 5_000_000 + unnest([-1, 0, 1]) AS slot
    FROM known
    ANTI JOIN events ON events.own_key = known.call_id
), pairs AS (
    SELECT
        s.call_id,
        e.event_id,
        count(*) OVER (PARTITION BY s.call_id) = 1
            AND count(*) OVER (PARTITION BY e.event_id) = 1 AS is_sole
    FROM slotted s
    JOIN (SELECT * FROM events ANTI JOIN known ON known.call_id = events.own_key) e
        ON e.contact_id = s.contact_id
        AND e.channel_id = s.channel_id
        AND epoch_us(e.occurred_at) // 5_000_000 = s.slot
        AND e.direction IS NOT DISTINCT FROM s.direction
        AND abs(epoch_us(e.occurred_at) - epoch_us(s.started_at)) <= 5_000_000
)
SELECT e.event_id, coalesce(p.call_id, e.own_key) AS call_key
FROM events e
LEFT JOIN pairs p ON p.is_sole AND p.event_id = e.event_id
