-- A living conversation as it stands at the time of the query: who waits, and until when free-form
-- messages may be sent.
--
-- Metrics: {metric:waiting_since}, {metric:service_window}.
--
-- grain: conversation_id
-- subject: conversations
-- view: yes
--
-- conversation_id VARCHAR: the conversation
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact
-- status VARCHAR: open or closed
-- assignee VARCHAR: name of who handles it
-- assignee_user_id VARCHAR: user who handles it
-- assigned_ai_agent_id VARCHAR: AI agent that handles it
-- waiting_since TIMESTAMPTZ: the customer's first message that no agent or AI answered; NULL if there
-- is none or the conversation is closed
-- service_window_closes_at TIMESTAMPTZ: 24 h after the customer's latest message
-- is_window_open BOOLEAN: whether that is still to come
-- last_activity_at TIMESTAMPTZ: the service's clock, or the latest message or call if that is later
-- tags VARCHAR[]: names of its tags
SELECT
    c.conversation_id,
    c.channel_id,
    c.contact_id,
    c.status,
    coalesce(u.name, c.assignee_name) AS assignee,
    c.assignee_user_id,
    c.assigned_ai_agent_id,
    CASE WHEN c.status IS DISTINCT FROM 'closed' THEN s.unanswered_since END AS waiting_since,
    s.last_inbound_at + INTERVAL 24 HOURS AS service_window_closes_at,
    coalesce(s.last_inbound_at + INTERVAL 24 HOURS > now(), false) AS is_window_open,
    greatest(c.last_activity_at, s.last_event_at) AS last_activity_at,
    coalesce(t.tags, []) AS tags
FROM core.conversations c
LEFT JOIN marts.conversation_state s USING (conversation_id)
LEFT JOIN core.users u ON u.user_id = coalesce(c.assignee_user_id, c.assigned_ai_agent_id)
LEFT JOIN (
    SELECT
        ct.conversation_id,
        list(coalesce(tag.name, ct.tag_id) ORDER BY coalesce(tag.name, ct.tag_id)) AS tags
    FROM core.conversation_tags ct
    LEFT JOIN core.tags tag USING (tag_id)
    GROUP BY ct.conversation_id
) t USING (conversation_id)
WHERE c.deleted_at IS NULL
