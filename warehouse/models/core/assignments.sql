-- An assignment of a conversation to a person or AI agent; the only history of it there is.
--
-- grain: event_id
-- stream: timelines
-- view: yes
--
-- event_id VARCHAR: the timeline event
-- conversation_id VARCHAR: the conversation
-- assigned_at TIMESTAMPTZ: when
-- assigned_user_id VARCHAR: to whom; both targets NULL = taken away
-- assigned_ai_agent_id VARCHAR: to which AI agent
-- assigned_by_user_id VARCHAR: by whom
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
SELECT
    event_id,
    conversation_id,
    occurred_at AS assigned_at,
    assigned_user_id,
    assigned_ai_agent_id,
    assigned_by_user_id,
    deleted_at
FROM core.timeline_events
WHERE source = 'assignation'
