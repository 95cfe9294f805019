-- Which message each delivery belongs to: the three rules of identity, as functions of the set.
--
-- Reads ``statuses`` (typed deliveries, `n` their order by receive time and body hash, `is_event_id`
-- whether their event id is one) and ``timeline`` (WhatsApp events), both of whole conversations;
-- yields seq and message_key. Direction and text are compared by a hash, in which NULL equals NULL.
WITH originals AS (
    SELECT
        seq, n, CASE WHEN is_event_id THEN event_id END AS event_id, wamid, channel_id, conversation_id, sent_at, delivery_id,
        content_hash(direction, body) AS content
    FROM statuses
    WHERE NOT is_edit
), by_wamid AS (
    -- A message id that carries two event ids leads to the smaller.
    SELECT
        channel_id,
        wamid,
        min(event_id) AS event_id,
        -- A message id is one channel's; on a second one it would be another message.
        'wamid:' || wamid || CASE
            WHEN coalesce(channel_id, '') = min(coalesce(channel_id, '')) OVER (PARTITION BY wamid)
                THEN ''
            ELSE '@' || channel_id
        END AS wamid_key
    FROM originals
    WHERE wamid IS NOT NULL
    GROUP BY channel_id, wamid
), candidates AS (
    -- Rule 1: by event id, else by message id on one channel. The rest have no id at all.
    SELECT
        o.seq,
        o.n,
        o.conversation_id,
        o.sent_at,
        o.content,
        o.event_id IS NULL AND o.wamid IS NULL AS is_nameless,
        coalesce(
            o.event_id,
            w.event_id,
            w.wamid_key,
            'hash:' || md5(o.conversation_id || ' ' || epoch_us(o.sent_at) || ' ' || o.content),
            'hash:' || o.delivery_id
        ) AS group_key
    FROM originals o
    LEFT JOIN by_wamid w ON w.wamid = o.wamid AND w.channel_id IS NOT DISTINCT FROM o.channel_id
), homes AS (
    -- Rule 3: what has no id joins the only group with the same content at the same instant.
    SELECT t.group_key AS nameless_key, min(g.group_key) AS group_key
    FROM candidates t
    JOIN candidates g
        ON NOT g.is_nameless
        AND g.conversation_id = t.conversation_id
        AND g.sent_at = t.sent_at
        AND g.content = t.content
    WHERE t.is_nameless
    GROUP BY t.group_key
    HAVING count(DISTINCT g.group_key) = 1
), grouped AS (
    SELECT t.seq, t.n, t.conversation_id, t.sent_at, coalesce(h.group_key, t.group_key) AS group_key
    FROM candidates t
    LEFT JOIN homes h ON t.is_nameless AND h.nameless_key = t.group_key
), open_groups AS (
    -- Rule 2 is for groups that name no event of the timeline, and for events that none names.
    SELECT
        g.group_key,
        arg_max(g.conversation_id, g.n) AS conversation_id,
        min(g.sent_at) AS sent_at,
        content_hash(arg_max(s.direction, g.n), arg_max(s.body, g.n)) AS content
    FROM (
        SELECT * FROM grouped ANTI JOIN timeline ON timeline.event_id = grouped.group_key
    ) g
    JOIN statuses s ON s.seq = g.seq
    GROUP BY g.group_key
), slotted AS (
    -- Two instants at most 2 s apart lie in the same or in neighbouring slots of 2 s.
    SELECT *, epoch_us(sent_at) // 2_000_000 + unnest([-1, 0, 1]) AS slot FROM open_groups
), free_events AS (
    SELECT
        event_id, conversation_id, occurred_at, content_hash(direction, body) AS content,
        epoch_us(occurred_at) // 2_000_000 AS slot
    FROM timeline
    ANTI JOIN grouped ON grouped.group_key = timeline.event_id
), pairs AS (
    SELECT
        s.group_key,
        f.event_id,
        count(*) OVER (PARTITION BY s.group_key) = 1
            AND count(*) OVER (PARTITION BY f.event_id) = 1 AS is_sole
    FROM slotted s
    JOIN free_events f
        ON f.conversation_id = s.conversation_id
        AND f.slot = s.slot
        AND f.content = s.content
        AND abs(epoch_us(f.occurred_at) - epoch_us(s.sent_at)) <= 2_000_000
), keys AS (
    SELECT g.seq, g.group_key, coalesce(p.event_id, g.group_key) AS message_key
    FROM grouped g
    LEFT JOIN pairs p ON p.is_sole AND p.group_key = g.group_key
), groups AS (
    SELECT DISTINCT group_key, message_key FROM keys
), edits AS (
    -- An edit belongs to the message whose event or message id it names, if there is one.
    SELECT e.seq, coalesce(named.message_key, t.event_id, linked.message_key) AS message_key
    FROM (
        SELECT seq, CASE WHEN is_event_id THEN event_id END AS event_id, wamid, channel_id
        FROM statuses WHERE is_edit
    ) e
    LEFT JOIN groups named ON named.group_key = e.event_id
    LEFT JOIN timeline t ON t.event_id = e.event_id
    LEFT JOIN by_wamid w ON w.wamid = e.wamid AND w.channel_id IS NOT DISTINCT FROM e.channel_id
    LEFT JOIN groups linked ON linked.group_key = coalesce(w.event_id, w.wamid_key)
)
SELECT seq, message_key FROM keys
UNION ALL
SELECT seq, message_key FROM edits
