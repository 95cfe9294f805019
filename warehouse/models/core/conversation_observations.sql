-- A change of a conversation's status, assignee or tags that was seen: two versions of the
-- conversation, read one after the other, differ in it.
--
-- The service keeps no history of status and tags; this is what was observed. A change seen has no
-- author, and a time only to within two readings; what came and went between these is not seen.
-- Of assignees the timeline has a log, too: `core.assignments`.
--
-- grain: conversation_id, property_key, observed_at
-- stream: conversations
-- replace: conversation_id
-- reads: changes
-- watches: core.conversations.status, core.conversations.assignee_user_id, core.conversations.assigned_ai_agent_id, core.conversation_tags.tag_id
--
-- conversation_id VARCHAR: the conversation
-- property_key VARCHAR: status, assignee, or the id of the tag
-- property_name VARCHAR: status, assignee or tag
-- observed_at TIMESTAMPTZ: when the new value was first read
-- old_value VARCHAR: in the version before: open or closed; id of a user or AI agent; id of the
-- tag; NULL = none
-- new_value VARCHAR: since that reading; NULL = none
WITH versions AS (
    SELECT
        record_id,
        seq,
        fetched_at,
        json_transform(payload, '{
            "status": "VARCHAR", "assigneeId": "VARCHAR", "assignedAiAgentId": "VARCHAR",
            "tags": ["JSON"]
        }') AS r
    FROM records
    WHERE payload IS NOT NULL
    QUALIFY count(*) OVER (PARTITION BY record_id) > 1
), stated AS (
    SELECT
        record_id,
        seq,
        fetched_at,
        code(r.status, ['open', 'closed']) AS status,
        coalesce(identifier(r.assignedAiAgentId), identifier(r.assigneeId)) AS assignee,
        list_filter(
            list_distinct(list_transform(
                r.tags, lambda tag: identifier(text_or_key(tag, '$.id'))
            )),
            lambda tag: tag IS NOT NULL
        ) AS tags
    FROM versions
), compared AS (
    -- A version without the key of status or tags shows nothing of them.
    SELECT
        *,
        last_value(status IGNORE NULLS) OVER earlier AS old_status,
        lag(assignee) OVER in_order AS old_assignee,
        last_value(tags IGNORE NULLS) OVER earlier AS old_tags,
        row_number() OVER in_order AS version
    FROM stated
    WINDOW in_order AS (PARTITION BY record_id ORDER BY seq),
        earlier AS (PARTITION BY record_id ORDER BY seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    record_id AS conversation_id,
    change.key AS property_key,
    change.name AS property_name,
    fetched_at AS observed_at,
    change.old AS old_value,
    change.new AS new_value
FROM (
    SELECT record_id, fetched_at, unnest(list_concat(
        CASE WHEN status <> old_status
            THEN [{'key': 'status', 'name': 'status', 'old': old_status, 'new': status}] END,
        CASE WHEN assignee IS DISTINCT FROM old_assignee
            THEN [{'key': 'assignee', 'name': 'assignee', 'old': old_assignee, 'new': assignee}] END,
        list_transform(
            list_filter(tags, lambda tag: NOT list_contains(old_tags, tag)),
            lambda tag: {'key': tag, 'name': 'tag', 'old': NULL::VARCHAR, 'new': tag}
        ),
        list_transform(
            list_filter(old_tags, lambda tag: NOT list_contains(tags, tag)),
            lambda tag: {'key': tag, 'name': 'tag', 'old': tag, 'new': NULL::VARCHAR}
        )
    )) AS change
    FROM compared
    WHERE version > 1
)
