-- How wire values are read. Every model uses these; none fails on bad input, it gives NULL.

-- The instants that are kept: what lies outside is no time of a message, and Python, dates and
-- intervals end soon after. A value that is no instant in here is none at all. A day at each end is
-- for the zones of what `hatif.webhooks` accepts.
CREATE OR REPLACE MACRO memory.main.bounded(i) AS CASE
    WHEN i >= TIMESTAMPTZ '1899-12-31 00:00:00+00' AND i < TIMESTAMPTZ '2200-01-02 00:00:00+00'
    THEN i
END;

-- The parts of a timestamp in any form that RFC 3339 or .NET write; all '' where it is none.
CREATE OR REPLACE MACRO memory.main.instant_parts(t) AS regexp_extract(
    upper(trim(t)),
    '^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(\.\d+)?)? ?(Z|UTC|GMT|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?$',
    ['day', 'minute', 'second', 'fraction', 'zone']
);

-- A timestamp from its parts. One without a zone is in the given one; a leap second is the first
-- of the next minute. The lambdas name what is used more than once: an argument of a macro is written
-- out at each use, and fourteen patterns to compile cost every statement 7 ms.
CREATE OR REPLACE MACRO memory.main.instant_of(p, zone) AS list_transform([TRY_CAST(
    nullif(p['day'], '') || ' ' || coalesce(nullif(p['minute'], ''), '00:00')
    || CASE p['second'] WHEN '' THEN ':00' WHEN ':60' THEN ':59' ELSE p['second'] END
    || p['fraction']
    || CASE WHEN p['zone'] IN ('Z', 'UTC', 'GMT') THEN '+00' ELSE coalesce(nullif(p['zone'], ''), zone) END
    AS TIMESTAMPTZ
)], lambda i: bounded(i))[1] + CASE WHEN p['second'] = ':60' THEN INTERVAL 1 SECOND ELSE INTERVAL 0 SECOND END;

-- A timestamp in any of these forms.
CREATE OR REPLACE MACRO memory.main.any_instant(t, zone) AS
    list_transform([instant_parts(t)], lambda p: instant_of(p, zone))[1];

-- A timestamp as sent. Naive means Riyadh (+03, never daylight saving); a label is believed.
CREATE OR REPLACE MACRO memory.main.instant(t) AS CASE
    WHEN t IS NULL THEN NULL
    ELSE coalesce(
        CASE
            -- As nearly all are sent; bounded as text, since no CASE shares what it computes.
            WHEN right(t, 1) = 'Z' AND t[5] = '-' AND t >= '1900' AND t < '2200'
                THEN TRY_CAST(t AS TIMESTAMPTZ)
            WHEN t[5] = '-' AND t[11] = 'T' AND regexp_full_match(t[12:], '[0-9:.]{8,}')
                THEN bounded(TRY_CAST(t || '+03' AS TIMESTAMPTZ))
        END,
        any_instant(t, '+03')
    )
END;

-- A date as sent: a day, or an instant of a day in Riyadh. Of 25/12/1990 the day is sure; of
-- 01/05/1990 it is not, and is NULL.
CREATE OR REPLACE MACRO memory.main.local_day(t) AS CASE
    WHEN t IS NULL THEN NULL
    ELSE coalesce(
        list_transform([instant_parts(t)], lambda p: CASE
            WHEN p['zone'] <> '' THEN (instant_of(p, '+03') AT TIME ZONE 'Asia/Riyadh')::DATE
            WHEN p['day'] > '0001' THEN TRY_CAST(p['day'] AS DATE)
        END)[1],
        list_transform(
            [regexp_extract(
                trim(t), '^(\d{1,2})[/.](\d{1,2})[/.]([12]\d{3})$', ['one', 'two', 'year']
            )],
            lambda p: day_of_parts(p)
        )[1]
    )
END;

-- A date from its year and two numbers of which either may be the month.
CREATE OR REPLACE MACRO memory.main.day_of_parts(p) AS CASE
    WHEN p['one']::VARCHAR = p['two'] OR TRY_CAST(p['one'] AS INTEGER) > 12
        THEN TRY_CAST(p['year'] || '-' || p['two'] || '-' || p['one'] AS DATE)
    WHEN TRY_CAST(p['two'] AS INTEGER) > 12
        THEN TRY_CAST(p['year'] || '-' || p['one'] || '-' || p['two'] AS DATE)
END;

-- A timestamp of a webhook. There naive means UTC; what does not begin with a year is none.
CREATE OR REPLACE MACRO memory.main.webhook_instant(t) AS CASE
    WHEN t IS NULL THEN NULL
    ELSE coalesce(
        CASE WHEN right(t, 1) = 'Z' AND t[5] = '-' AND t >= '1900' AND t < '2200'
            THEN TRY_CAST(t AS TIMESTAMPTZ) END,
        any_instant(t, '+00')
    )
END;

-- The instant inside a sequential id: 48 bits of milliseconds since the year 1, UTC.
CREATE OR REPLACE MACRO memory.main.id_instant(id) AS CASE
    WHEN starts_with(id, '3a') AND length(id) = 36 THEN
        epoch_ms(TRY_CAST('0x' || id[1:8] || id[10:13] AS BIGINT) - 62135596800000)
            AT TIME ZONE 'UTC'
END;

-- A duration in seconds: a .NET TimeSpan [d.]hh:mm:ss[.f], mm:ss, a number of seconds, or ISO 8601
-- (PT2M30S). NULL where it is none of these.
CREATE OR REPLACE MACRO memory.main.timespan_seconds(t) AS CASE
    WHEN t IS NULL THEN NULL
    ELSE coalesce(
        clock_seconds(t),
        list_transform([plain_digits(trim(t))], lambda d: other_seconds(d))[1]
    )
END;

-- A .NET TimeSpan, in any number of hours.
CREATE OR REPLACE MACRO memory.main.clock_seconds(t) AS CASE
    WHEN regexp_full_match(t, '-?(\d{1,8}\.)?\d{1,8}:\d{2}:\d{2}(\.\d+)?') THEN
        CASE WHEN starts_with(t, '-') THEN -1 ELSE 1 END * (
            coalesce(TRY_CAST(regexp_extract(t, '^-?(\d+)\.\d+:', 1) AS DOUBLE), 0) * 86400
            + TRY_CAST(regexp_extract(t, '(\d+):\d{2}:\d{2}', 1) AS DOUBLE) * 3600
            + TRY_CAST(regexp_extract(t, '\d+:(\d{2}):\d{2}', 1) AS DOUBLE) * 60
            + TRY_CAST(regexp_extract(t, '\d+:\d{2}:(\d{2}(\.\d+)?)', 1) AS DOUBLE)
        )
END;

-- Durations as other writers put them.
CREATE OR REPLACE MACRO memory.main.other_seconds(t) AS CASE
    WHEN regexp_full_match(t, '\d{1,4}:\d{2}(\.\d+)?') THEN
        TRY_CAST(split_part(t, ':', 1) AS DOUBLE) * 60 + TRY_CAST(split_part(t, ':', 2) AS DOUBLE)
    WHEN regexp_full_match(t, '\d{1,9}(\.\d+)?') THEN TRY_CAST(t AS DOUBLE)
    WHEN regexp_matches(t, '^-?[pP]') THEN list_transform(
        [regexp_extract(
            upper(t),
            '^P(\d{1,6}D)?(?:T(\d{1,8}H)?(\d{1,8}M)?(\d{1,9}(?:\.\d+)?S)?)?$',
            ['days', 'hours', 'minutes', 'seconds']
        )],
        lambda p: iso_seconds(p)
    )[1]
    ELSE clock_seconds(t)
END;

-- The seconds of an ISO 8601 duration from its parts, each a number with its unit, NULL of none.
CREATE OR REPLACE MACRO memory.main.iso_seconds(p) AS CASE
    WHEN p['days'] || p['hours'] || p['minutes'] || p['seconds'] <> '' THEN
        iso_part(p['days']) * 86400 + iso_part(p['hours']) * 3600 + iso_part(p['minutes']) * 60
            + iso_part(p['seconds'])
END;
CREATE OR REPLACE MACRO memory.main.iso_part(part) AS
    coalesce(TRY_CAST(rtrim(part, 'DHMS') AS DOUBLE), 0);

-- Arabic and Persian digits as 0 to 9.
CREATE OR REPLACE MACRO memory.main.plain_digits(t) AS
    translate(t, '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹', '01234567890123456789');

-- A number as sent, as text or not; NULL where it is none or too large for one.
CREATE OR REPLACE MACRO memory.main.number(t) AS CASE
    WHEN isfinite(TRY_CAST(plain_digits(t) AS DOUBLE)) THEN TRY_CAST(plain_digits(t) AS DOUBLE)
END;

-- A whole number as sent; NULL where it has a fraction or is too large to be exact.
CREATE OR REPLACE MACRO memory.main.whole_number(t) AS CASE
    WHEN abs(number(t)) < 9e15 AND number(t) = trunc(number(t)) THEN TRY_CAST(number(t) AS BIGINT)
END;

-- Yes or no as sent: true, "true", 1; NULL where it is neither.
CREATE OR REPLACE MACRO memory.main.flag(t) AS CASE lower(t)
    WHEN 'true' THEN true WHEN 'false' THEN false
    WHEN '1' THEN true WHEN '0' THEN false WHEN '1.0' THEN true WHEN '0.0' THEN false
END;

-- An id as sent, lower-case and without blanks around it, as `hatif.wire` reads a record's own. The
-- empty GUID is no id, nor is text that no key can hold. Nearly all are of 36 characters, as GUIDs are.
CREATE OR REPLACE MACRO memory.main.identifier(t) AS CASE
    WHEN t = '' OR t = '00000000-0000-0000-0000-000000000000' OR contains(t, chr(0)) THEN NULL
    WHEN strlen(t) = 36 OR (t > '!' AND t < '~' AND NOT has_blank_end(t)) THEN lower(t)
    ELSE nullif(nullif(lower(trim(t, blanks())), ''), '00000000-0000-0000-0000-000000000000')
END;
CREATE OR REPLACE MACRO memory.main.has_blank_end(t) AS
    ends_with(t, ' ') OR ends_with(t, chr(9)) OR ends_with(t, chr(10)) OR ends_with(t, chr(13))
    OR ends_with(t, chr(160));
CREATE OR REPLACE MACRO memory.main.blanks() AS concat(
    ' ', chr(9), chr(10), chr(11), chr(12), chr(13), chr(133), chr(160), chr(8239), chr(12288)
);

-- The key of a value that was sent and could not be read, for `ops.drift`.
CREATE OR REPLACE MACRO memory.main.unread(sent, value, key) AS
    CASE WHEN sent IS NOT NULL AND value IS NULL THEN key END;

-- PascalCase words in lower snake case; WhatsApp is one word.
CREATE OR REPLACE MACRO memory.main.snake(t) AS
    lower(regexp_replace(replace(t, 'WhatsApp', 'Whatsapp'), '([a-z0-9])([A-Z])', '\1_\2', 'g'));

-- A word of an open vocabulary; one never seen before is kept and shows.
CREATE OR REPLACE MACRO memory.main.word(t, known) AS CASE
    WHEN t IS NULL OR list_contains(known, lower(t)) THEN lower(t)
    WHEN list_contains(known, snake(t)) THEN snake(t)
    ELSE 'unknown:' || replace(t, chr(0), '')
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

-- A value that is text, or an object that holds the text under a key; read as JSON, so that text
-- which begins with a brace stays text.
CREATE OR REPLACE MACRO memory.main.text_or_key(j, path) AS
    json_extract_string(j, CASE WHEN json_type(j) = 'OBJECT' THEN path ELSE '$' END);

-- How far a message has come. A receipt proves more than a failure; anything unknown, nothing.
CREATE OR REPLACE MACRO memory.main.message_rank(status) AS CASE status
    WHEN 'read' THEN 5 WHEN 'delivered' THEN 4 WHEN 'failed' THEN 3 WHEN 'sent' THEN 2
    WHEN 'pending' THEN 1 ELSE 0
END;

-- Whether every reader can show an instant's day, in any zone, and a day later.
CREATE OR REPLACE MACRO memory.main.in_calendar(t) AS
    t >= TIMESTAMPTZ '0001-01-03 00:00:00+00' AND t < TIMESTAMPTZ '9999-12-29 00:00:00+00';

-- Whether business time is known then: warehouse/marts/settings_tables.py.
CREATE OR REPLACE MACRO memory.main.has_business_time(t) AS
    t >= TIMESTAMPTZ '1990-01-01 00:00:00+00' AND t < TIMESTAMPTZ '2100-01-01 00:00:00+00';

-- The earliest of some instants that is not before another, where that is known.
CREATE OR REPLACE MACRO memory.main.earliest_since(instants, begin) AS
    list_min(list_filter(instants, lambda one: coalesce(one >= begin, true)));

-- A hash of a message's direction and text, for comparing; NULL equals NULL, and is not empty.
CREATE OR REPLACE MACRO memory.main.content_hash(direction, body) AS
    md5_number(coalesce(direction, '') || coalesce(' ' || body, ''));

-- Whose message it is: the AI agent's, or the user who is known to have sent it.
CREATE OR REPLACE MACRO memory.main.acting_user(origin, sender_user_id, ai_agent_id) AS CASE origin
    WHEN 'ai' THEN coalesce(ai_agent_id, sender_user_id)
    WHEN 'agent' THEN sender_user_id
END;

-- The sum of durations in seconds: exact, so that it does not depend on their order. Of .NET's seven
-- decimals each is kept.
CREATE OR REPLACE MACRO memory.main.total_seconds(s) AS
    coalesce(TRY_CAST(sum(TRY_CAST(s AS DECIMAL(38, 7))) AS DOUBLE), 0);

-- A number as people write it: 5, not 5.0.
CREATE OR REPLACE MACRO memory.main.plain_number(n) AS
    CASE
        WHEN n = round(n) AND abs(n) < 1e15 THEN TRY_CAST(n AS BIGINT)::VARCHAR
        ELSE n::VARCHAR
    END;

-- Whether a message comes after the one at a boundary of prices; NULL where that is not reached.
CREATE OR REPLACE MACRO memory.main.is_beyond(t, key, b) AS
    t > b.charged_at OR (t = b.charged_at AND key > b.message_key);

-- Text with spaces folded: marks of the writing direction are none, any run of spaces is one.
CREATE OR REPLACE MACRO memory.main.folded_text(t) AS trim(regexp_replace(
    regexp_replace(t, '[\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{FEFF}]', '', 'g'),
    '[\s\x{0B}\x{1C}-\x{1F}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+',
    ' ', 'g'
));
