-- A missed call, and what followed with its contact on whatever channel: whether we called back,
-- spoke, or wrote.
--
-- Metrics: {metric:missed_calls}, {metric:call_back}.
--
-- grain: call_key
-- subject: calls
-- view: yes
--
-- call_key VARCHAR: the missed call
-- conversation_id VARCHAR: the conversation
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact; without one nothing after it is known
-- started_at TIMESTAMPTZ: when it began
-- started_on DATE: reporting day of started_at
-- started_hour BIGINT: hour of that day, 0 to 23
-- ringing_seconds DOUBLE: how long it rang, seconds
-- called_back_at TIMESTAMPTZ: our first call to the contact after it, whether that was completed or not
-- called_back_seconds DOUBLE: between the two, seconds
-- reached_at TIMESTAMPTZ: the first completed call after it, in either direction
-- written_to_at TIMESTAMPTZ: the first message of an agent or AI after it that did not fail
-- followed_up_at TIMESTAMPTZ: the earliest of these three; NULL while there is none
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH missed AS (
    SELECT * FROM marts.call_facts WHERE is_missed
), calls AS (
    SELECT contact_id, started_at, direction, is_completed FROM core.calls
    WHERE contact_id IN (SELECT contact_id FROM missed)
), back AS (
    FROM calls WHERE direction = 'outbound'
), spoken AS (
    FROM calls WHERE is_completed
), written AS (
    SELECT contact_id, sent_at FROM core.messages
    WHERE direction = 'outbound' AND origin IN ('agent', 'ai') AND status IS DISTINCT FROM 'failed'
        AND message_type IS DISTINCT FROM 'reaction'
        AND contact_id IN (SELECT contact_id FROM missed)
)
SELECT
    m.call_key,
    m.conversation_id,
    m.channel_id,
    m.contact_id,
    m.started_at,
    m.started_on,
    m.started_hour,
    m.ringing_seconds,
    b.started_at AS called_back_at,
    (epoch_us(b.started_at) - epoch_us(m.started_at)) / 1e6 AS called_back_seconds,
    s.started_at AS reached_at,
    w.sent_at AS written_to_at,
    least(b.started_at, s.started_at, w.sent_at) AS followed_up_at,
    m.deleted_at
FROM missed m
ASOF LEFT JOIN back b ON b.contact_id = m.contact_id AND m.started_at < b.started_at
ASOF LEFT JOIN spoken s ON s.contact_id = m.contact_id AND m.started_at < s.started_at
ASOF LEFT JOIN written w ON w.contact_id = m.contact_id AND m.started_at < w.sent_at
