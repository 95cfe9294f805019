-- Which status, assignee and tags a conversation had from when to when.
--
-- Assignees follow the timeline's log (`core.assignments`), which has the instant, and changes that
-- only were seen between two readings (`core.conversation_observations`); status and tags follow
-- these alone, since the service keeps no history of them. The value before the first change holds
-- since the conversation began, and so does one that never changed.
--
-- Metrics: {metric:reopening}, {metric:assigned_time}.
--
-- grain: conversation_id, property_key, valid_from
-- subject: conversations
-- view: yes
--
-- conversation_id VARCHAR: the conversation
-- property_key VARCHAR: status, assignee, or the id of the tag
-- property_name VARCHAR: status, assignee or tag
-- valid_from TIMESTAMPTZ: since when
-- value VARCHAR: open or closed; id of a user or AI agent, NULL = none; id of the tag, NULL = not on it
-- valid_to TIMESTAMPTZ: until when; NULL = now
-- changed_by VARCHAR: user who assigned it, where the log has that
-- is_exact BOOLEAN: valid_from is the log's instant; else when the change was seen, or when the
-- conversation began
WITH logged AS (
    -- Of changes in the same instant the last counts.
    SELECT conversation_id, 'assignee' AS property_key, 'assignee' AS property_name,
        assigned_at AS changed_at, NULL::VARCHAR AS old_value,
        coalesce(assigned_ai_agent_id, assigned_user_id) AS value,
        assigned_by_user_id AS changed_by, true AS is_exact
    FROM core.assignments
    WHERE deleted_at IS NULL AND assigned_at IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY conversation_id, assigned_at ORDER BY event_id DESC
    ) = 1
), seen AS (
    SELECT conversation_id, property_key, property_name, observed_at AS changed_at, old_value,
        new_value AS value, NULL::VARCHAR AS changed_by, false AS is_exact
    FROM core.conversation_observations
), changes AS (
    -- What is seen after the log has it is no change any more; clocks differ by up to a minute.
    SELECT *
    FROM (FROM logged UNION ALL FROM seen)
    WINDOW in_order AS (
        PARTITION BY conversation_id, property_key ORDER BY changed_at, NOT is_exact
    )
    QUALIFY is_exact OR (
        (lag(is_exact) OVER in_order IS NULL OR value IS DISTINCT FROM lag(value) OVER in_order)
        AND lag(changed_at) OVER in_order IS DISTINCT FROM changed_at
        AND NOT coalesce(
            lead(is_exact) OVER in_order
            AND value IS NOT DISTINCT FROM lead(value) OVER in_order
            AND lead(changed_at) OVER in_order <= changed_at + INTERVAL 1 MINUTE, false)
    )
), firsts AS (
    SELECT conversation_id, property_key, min(changed_at) AS changed_at,
        arg_min({'of': old_value}, changed_at).of AS old_value
    FROM changes GROUP BY ALL
), present AS (
    SELECT conversation_id, 'status' AS property_key, 'status' AS property_name, status AS value
    FROM core.conversations
    UNION ALL
    SELECT conversation_id, 'assignee', 'assignee',
        coalesce(assigned_ai_agent_id, assignee_user_id)
    FROM core.conversations
    UNION ALL
    SELECT conversation_id, tag_id, 'tag', tag_id FROM core.conversation_tags
), begun AS (
    SELECT c.conversation_id, p.property_key, p.property_name, c.created_at AS changed_at, p.value
    FROM present p
    JOIN core.conversations c USING (conversation_id)
    WHERE (p.conversation_id, p.property_key) NOT IN (
        SELECT (conversation_id, property_key) FROM firsts
    )
    UNION ALL
    SELECT c.conversation_id, f.property_key,
        CASE WHEN f.property_key IN ('status', 'assignee') THEN f.property_key ELSE 'tag' END,
        c.created_at, f.old_value
    FROM firsts f
    JOIN core.conversations c USING (conversation_id)
    WHERE f.changed_at > c.created_at AND f.old_value IS NOT NULL
), versions AS (
    SELECT conversation_id, property_key, property_name, changed_at AS valid_from, value,
        NULL::VARCHAR AS changed_by, false AS is_exact
    FROM begun
    WHERE value IS NOT NULL
    UNION ALL
    SELECT conversation_id, property_key, property_name, changed_at, value, changed_by, is_exact
    FROM changes
)
SELECT
    conversation_id,
    property_key,
    property_name,
    valid_from,
    value,
    lead(valid_from) OVER (
        PARTITION BY conversation_id, property_key ORDER BY valid_from
    ) AS valid_to,
    changed_by,
    is_exact
FROM versions
WHERE valid_from IS NOT NULL
