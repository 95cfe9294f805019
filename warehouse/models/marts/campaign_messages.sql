-- A template message of a campaign, with the reply that it got.
--
-- A campaign is made of the templates of one name, or of one text with spaces folded, that one channel sent
-- to at least 10 contacts with no silence longer than HATIF_CAMPAIGN_GAP_HOURS between neighbours.
-- Names come from HATIF_MESSAGE_CATEGORIES and HATIF_TEMPLATES; without them texts with a name in them
-- differ by recipient and are none. What only the timeline knows counts where a name is known.
--
-- Metrics: {metric:campaign}, {metric:campaign_reply}.
--
-- grain: message_key
-- subject: messages
-- view: yes
--
-- message_key VARCHAR: the message
-- campaign_id VARCHAR: its campaign
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: to whom
-- conversation_id VARCHAR: its conversation
-- template VARCHAR: name of the template; NULL where only its text is known
-- sent_at TIMESTAMPTZ: its own time
-- arrived_at TIMESTAMPTZ: when it was delivered or read, else its own time; NULL where it failed
-- status VARCHAR: pending, sent, delivered, read or failed
-- error_code BIGINT: why it failed
-- has_failed_before BOOLEAN: an earlier template of the channel failed for this contact
-- reply_key VARCHAR: the contact's first message within 72 h, unless a later campaign came before it
-- replied_at TIMESTAMPTZ: when that came
-- reply_seconds DOUBLE: from arrived_at to it
-- response_seconds DOUBLE: until an agent or AI answered it, in whatever session
-- calls BIGINT: calls with the contact within 72 h, before a later campaign
WITH candidates AS (
    FROM core.messages WHERE direction = 'outbound' AND message_type = 'template'
    UNION ALL
    -- Only a log or a template's text tells that it is one. Most homes have neither: then no message
    -- is looked into.
    SELECT m.* FROM core.messages m
    CROSS JOIN (FROM (SELECT template FROM ops.templates UNION ALL
        SELECT template FROM ops.message_categories) LIMIT 1)
    WHERE m.direction = 'outbound' AND m.message_type IS NULL
), written AS (
    SELECT
        m.message_key, m.channel_id, m.contact_id, m.conversation_id, m.sent_at, m.status,
        m.error_code, m.message_type, coalesce(w.template, e.template) AS logged,
        least(m.delivered_at, m.read_at) AS received_at,
        trim(regexp_replace(
            regexp_replace(
                m.body,
                '[\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{FEFF}]', '', 'g'
            ),
            '[\s\x{0B}\x{1C}-\x{1F}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+',
            ' ', 'g'
        )) AS text
    FROM candidates m
    LEFT JOIN ops.message_categories w ON w.message_id = lower(m.wamid)
    LEFT JOIN ops.message_categories e ON e.message_id = m.event_id
    WHERE m.contact_id IS NOT NULL AND m.sent_at >= TIMESTAMPTZ '0001-01-03 00:00:00+00'
        AND m.sent_at < TIMESTAMPTZ '9999-12-29 00:00:00+00'
), texts AS (
    SELECT DISTINCT text FROM written WHERE text <> ''
), fitting AS (
    SELECT t.text, p.template, p.weight
    FROM texts t
    JOIN ops.templates p ON p.head = left(t.text, 8)
    WHERE t.text LIKE p.pattern ESCAPE '\'
    UNION ALL
    SELECT t.text, p.template, p.weight
    FROM texts t
    JOIN ops.templates p ON length(p.head) < 8 AND starts_with(t.text, p.head)
    WHERE t.text LIKE p.pattern ESCAPE '\'
), named AS (
    SELECT text, CASE WHEN min(template) = max(template) THEN min(template) END AS template
    FROM (
        SELECT * FROM fitting QUALIFY rank() OVER (PARTITION BY text ORDER BY weight DESC) = 1
    )
    GROUP BY text
), labelled AS (
    -- A message that only the timeline knows is a template where its name is known.
    SELECT
        w.*, coalesce(w.logged, n.template) AS template,
        coalesce('template ' || coalesce(w.logged, n.template), 'text ' || nullif(w.text, ''))
            AS label,
        coalesce(bool_or(w.status = 'failed') OVER (
            PARTITION BY w.channel_id, w.contact_id ORDER BY w.sent_at, w.message_key
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), false) AS has_failed_before
    FROM written w
    LEFT JOIN named n ON n.text = w.text
    WHERE coalesce(w.message_type, w.logged, n.template) IS NOT NULL
), parted AS (
    SELECT
        *,
        coalesce(epoch_us(sent_at) - epoch_us(lag(sent_at) OVER in_order) > 3600000000 * (
            SELECT coalesce(max(TRY_CAST(value AS DOUBLE)), 24) FROM ops.home
            WHERE key = 'campaign_gap_hours'
        ), true) AS begins
    FROM labelled
    WHERE label IS NOT NULL
    WINDOW in_order AS (PARTITION BY channel_id, label ORDER BY sent_at, message_key)
), numbered AS (
    SELECT *, sum(CASE WHEN begins THEN 1 ELSE 0 END) OVER (
        PARTITION BY channel_id, label ORDER BY sent_at, message_key
    ) AS burst
    FROM parted
), campaigns AS (
    SELECT
        channel_id, label, burst,
        md5(concat_ws(' ', channel_id, label, epoch_us(min(sent_at)))) AS campaign_id
    FROM numbered
    GROUP BY channel_id, label, burst
    HAVING count(DISTINCT contact_id) >= 10
), sent AS MATERIALIZED (
    SELECT
        n.*, c.campaign_id,
        CASE WHEN n.status IS DISTINCT FROM 'failed' THEN coalesce(n.received_at, n.sent_at) END
            AS arrived_at
    FROM numbered n
    JOIN campaigns c ON c.channel_id IS NOT DISTINCT FROM n.channel_id AND c.label = n.label
        AND c.burst = n.burst
), latest AS (
    -- Of messages that arrive in the same instant the last counts.
    SELECT message_key, contact_id, campaign_id, arrived_at
    FROM sent
    WHERE arrived_at IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY contact_id, arrived_at ORDER BY sent_at DESC, message_key DESC
    ) = 1
), replies AS (
    SELECT l.message_key, i.message_key AS reply_key, i.conversation_id, i.sent_at AS replied_at
    FROM (
        SELECT message_key, conversation_id, contact_id, sent_at FROM core.messages
        WHERE direction = 'inbound' AND message_type IS DISTINCT FROM 'reaction'
            AND contact_id IN (SELECT contact_id FROM latest) AND sent_at IS NOT NULL
    ) i
    ASOF JOIN latest l ON l.contact_id = i.contact_id AND i.sent_at >= l.arrived_at
    WHERE i.sent_at <= l.arrived_at + INTERVAL 72 HOUR
    QUALIFY row_number() OVER (
        PARTITION BY l.campaign_id, l.contact_id ORDER BY i.sent_at, i.message_key
    ) = 1
), answered AS (
    -- The turn that a reply belongs to may have begun before it.
    SELECT
        r.message_key,
        (epoch_us(coalesce(t.responded_at, t.late_responded_at)) - epoch_us(r.replied_at)) / 1e6
            AS response_seconds
    FROM replies r
    ASOF JOIN (
        SELECT conversation_id, turn_started_at, responded_at, late_responded_at
        FROM marts.response_times
        WHERE conversation_id IN (SELECT conversation_id FROM replies)
    ) t
        ON t.conversation_id = r.conversation_id AND r.replied_at >= t.turn_started_at
), called AS (
    SELECT l.message_key, count(*) AS calls
    FROM (
        SELECT contact_id, started_at FROM core.calls
        WHERE contact_id IN (SELECT contact_id FROM latest) AND started_at IS NOT NULL
    ) c
    ASOF JOIN latest l ON l.contact_id = c.contact_id AND c.started_at >= l.arrived_at
    WHERE c.started_at <= l.arrived_at + INTERVAL 72 HOUR
    GROUP BY l.message_key
)
SELECT
    s.message_key,
    s.campaign_id,
    s.channel_id,
    s.contact_id,
    s.conversation_id,
    s.template,
    s.sent_at,
    s.arrived_at,
    s.status,
    CASE WHEN s.status = 'failed' THEN s.error_code END AS error_code,
    s.has_failed_before,
    r.reply_key,
    r.replied_at,
    (epoch_us(r.replied_at) - epoch_us(s.arrived_at)) / 1e6 AS reply_seconds,
    a.response_seconds,
    coalesce(c.calls, 0) AS calls
FROM sent s
LEFT JOIN replies r ON r.message_key = s.message_key
LEFT JOIN answered a ON a.message_key = s.message_key
LEFT JOIN called c ON c.message_key = s.message_key
