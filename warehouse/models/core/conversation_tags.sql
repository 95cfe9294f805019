-- A tag on a living conversation, as it is now. What was seen of earlier ones is in
-- `core.conversation_observations`.
--
-- grain: conversation_id, tag_id
-- stream: conversations
-- replace: conversation_id
--
-- conversation_id VARCHAR: the conversation
-- tag_id VARCHAR: the tag
WITH wire AS (
    SELECT
        record_id,
        unnest(json_transform(payload, '{"tags": ["JSON"]}').tags) AS tag
    FROM records
    WHERE deleted_at IS NULL
)
SELECT DISTINCT
    record_id AS conversation_id,
    identifier(text_or_key(tag, '$.id')) AS tag_id
FROM wire
WHERE tag_id IS NOT NULL
