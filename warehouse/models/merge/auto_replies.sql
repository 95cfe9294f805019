-- Messages from a customer within 30 s after one of ours in the same conversation: probably written
-- by a machine of theirs.
--
-- Reads ``merged_rows`` (messages of whole conversations); yields message_key.
SELECT message_key
FROM merged_rows
WHERE conversation_id IS NOT NULL
QUALIFY direction = 'inbound' AND sent_at - max(
    CASE WHEN direction = 'outbound' THEN sent_at END
) OVER (
    PARTITION BY conversation_id ORDER BY sent_at, coalesce(event_id, message_key)
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
) <= INTERVAL 30 SECONDS
