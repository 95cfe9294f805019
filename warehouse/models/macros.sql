-- How wire values are read. Every model uses these; none fails on bad input, it gives NULL.

-- A timestamp as sent. Naive means Riyadh (+03, never daylight saving); a label is believed.
CREATE OR REPLACE MACRO memory.main.instant(t) AS CASE
    WHEN right(t, 1) = 'Z' THEN TRY_CAST(t AS TIMESTAMPTZ)
    WHEN length(t) <= 10 THEN TRY_CAST(t || ' 00:00:00+03' AS TIMESTAMPTZ)
    WHEN regexp_matches(t, '[+-][0-9]{2}:?[0-9]{2}$') THEN TRY_CAST(t AS TIMESTAMPTZ)
    ELSE TRY_CAST(t || '+03' AS TIMESTAMPTZ)
END;

-- A date as sent: a day, or an instant of a day in Riyadh.
CREATE OR REPLACE MACRO memory.main.local_day(t) AS CASE
    WHEN length(t) <= 10 THEN TRY_CAST(t AS DATE)
    ELSE (instant(t) AT TIME ZONE 'Asia/Riyadh')::DATE
END;

-- A timestamp of a webhook. There naive means UTC; what does not begin with a year is none.
CREATE OR REPLACE MACRO memory.main.webhook_instant(t) AS CASE
    WHEN t[5] <> '-' THEN NULL
    WHEN right(t, 1) = 'Z' OR regexp_matches(t, '[+-][0-9]{2}:?[0-9]{2}$')
        THEN TRY_CAST(t AS TIMESTAMPTZ)
    ELSE TRY_CAST(t AS TIMESTAMP) AT TIME ZONE 'UTC'
END;

-- The instant inside a sequential id: 48 bits of milliseconds since the year 1, UTC.
CREATE OR REPLACE MACRO memory.main.id_instant(id) AS CASE
    WHEN starts_with(id, '3a') AND length(id) = 36 THEN
        epoch_ms(TRY_CAST('0x' || id[1:8] || id[10:13] AS BIGINT) - 62135596800000)
            AT TIME ZONE 'UTC'
END;

-- A .NET TimeSpan, [d.]hh:mm:ss[.fffffff], in seconds.
CREATE OR REPLACE MACRO memory.main.timespan_seconds(t) AS CASE
    WHEN regexp_full_match(t, '-?(\d+\.)?\d{1,2}:\d{2}:\d{2}(\.\d+)?') THEN
        CASE WHEN starts_with(t, '-') THEN -1 ELSE 1 END * (
            coalesce(TRY_CAST(regexp_extract(t, '^-?(\d+)\.\d{1,2}:', 1) AS DOUBLE), 0) * 86400
            + TRY_CAST(regexp_extract(t, '(\d{1,2}):\d{2}:\d{2}', 1) AS DOUBLE) * 3600
            + TRY_CAST(regexp_extract(t, '\d{1,2}:(\d{2}):\d{2}', 1) AS DOUBLE) * 60
            + TRY_CAST(regexp_extract(t, '\d{1,2}:\d{2}:(\d{2}(\.\d+)?)', 1) AS DOUBLE)
        )
END;

-- PascalCase words in lower snake case; WhatsApp is one word.
CREATE OR REPLACE MACRO memory.main.snake(t) AS
    lower(regexp_replace(replace(t, 'WhatsApp', 'Whatsapp'), '([a-z0-9])([A-Z])', '\1_\2', 'g'));

-- A word of an open vocabulary; one never seen before is kept and shows.
CREATE OR REPLACE MACRO memory.main.word(t, known) AS CASE
    WHEN t IS NULL OR list_contains(known, lower(t)) THEN lower(t)
    WHEN list_contains(known, snake(t)) THEN snake(t)
    ELSE 'unknown:' || t
END;

-- An enumeration counted from 1, sent as number or as text.
CREATE OR REPLACE MACRO memory.main.code(t, names) AS CASE
    WHEN TRY_CAST(t AS INTEGER) BETWEEN 1 AND len(names) THEN names[TRY_CAST(t AS INTEGER)]
    ELSE word(t, names)
END;

-- An enumeration counted from 0, sent as number or as text.
CREATE OR REPLACE MACRO memory.main.code_from_zero(t, names) AS CASE
    WHEN TRY_CAST(t AS INTEGER) BETWEEN 0 AND len(names) - 1 THEN names[TRY_CAST(t AS INTEGER) + 1]
    ELSE word(t, names)
END;

-- A call that rings or goes on; every other status is final, if we know it.
CREATE OR REPLACE MACRO memory.main.is_under_way(status) AS status IN ('ringing', 'active');
CREATE OR REPLACE MACRO memory.main.is_final_status(status) AS
    NOT is_under_way(status) AND NOT starts_with(status, 'unknown:');

-- The status of a timeline event: the words of messages, of calls, and of assignments.
CREATE OR REPLACE MACRO memory.main.event_status(t) AS word(t, [
    'pending', 'sent', 'delivered', 'read', 'failed', 'answered', 'missed', 'completed',
    'no_answer', 'cancelled', 'rejected', 'rejected_by_caller', 'rejected_by_callee', 'ringing',
    'active', 'assigned', 'unassigned'
]);

-- A value that is text, or an object that holds the text under a key.
CREATE OR REPLACE MACRO memory.main.text_or_key(t, path) AS
    CASE WHEN starts_with(t, '{') THEN json_extract_string(t, path) ELSE t END;

-- How far a message has come. A receipt proves more than a failure; anything unheard of, nothing.
CREATE OR REPLACE MACRO memory.main.message_rank(status) AS CASE status
    WHEN 'read' THEN 5 WHEN 'delivered' THEN 4 WHEN 'failed' THEN 3 WHEN 'sent' THEN 2
    WHEN 'pending' THEN 1 ELSE 0
END;

-- What a message says, and in which direction, for comparing; NULL equals NULL, and is not empty.
CREATE OR REPLACE MACRO memory.main.said(direction, body) AS
    md5_number(coalesce(direction, '') || coalesce(' ' || body, ''));

-- Whose message it is: the AI agent's, or the user who is known to have sent it.
CREATE OR REPLACE MACRO memory.main.acting_user(origin, sender_user_id, ai_agent_id) AS CASE origin
    WHEN 'ai' THEN coalesce(ai_agent_id, sender_user_id)
    WHEN 'agent' THEN sender_user_id
END;

-- A number as people write it: 5, not 5.0.
CREATE OR REPLACE MACRO memory.main.plain_number(n) AS
    CASE WHEN n = round(n) AND abs(n) < 1e15 THEN n::BIGINT::VARCHAR ELSE n::VARCHAR END;
