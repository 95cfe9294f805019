-- The one long-lived conversation of a contact on a channel, as it is now.
--
-- grain: conversation_id
-- stream: conversations
-- parent: channel_id
-- replace: conversation_id
-- instants: last_activity_at=lastActivityAt, last_event_at=lastEventOccurredAt
--
-- conversation_id VARCHAR: id of the conversation
-- channel_id VARCHAR: the channel
-- contact_id VARCHAR: the contact
-- status VARCHAR: open or closed
-- sentiment VARCHAR: positive, neutral, negative, mixed or unknown; not a scale, never average it
-- created_at TIMESTAMPTZ: from the id, the service sends none
-- last_activity_at TIMESTAMPTZ: the service's only clock for it
-- assignee_user_id VARCHAR: who handles it
-- assigned_ai_agent_id VARCHAR: the AI agent that handles it
-- is_ai_assignee BOOLEAN: whether an AI agent handles it
-- assignee_name VARCHAR: who handles it, as text
-- last_event_source VARCHAR: call, whatsapp or assignation
-- last_event_direction VARCHAR: inbound, outbound or internal
-- last_event_status VARCHAR: status of the last event
-- last_event_at TIMESTAMPTZ: time of the last event
-- event_count BIGINT: events as the service counts them
-- unread_count BIGINT: unread messages as sent; the service sends 0 to clients of its API
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        parent_id,
        deleted_at,
        json_transform(payload, '{
            "channelId": "VARCHAR", "contactId": "VARCHAR", "status": "VARCHAR",
            "sentiment": "VARCHAR", "lastActivityAt": "VARCHAR", "assigneeId": "VARCHAR",
            "assignedAiAgentId": "VARCHAR", "isAiAssignee": "VARCHAR", "assigneeName": "VARCHAR",
            "lastEventSourceType": "VARCHAR", "lastEventDirection": "VARCHAR",
            "lastEventStatus": "VARCHAR", "lastEventOccurredAt": "VARCHAR",
            "lastEventsCount": "VARCHAR", "unreadCount": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    record_id AS conversation_id,
    coalesce(parent_id, identifier(r.channelId)) AS channel_id,
    identifier(r.contactId) AS contact_id,
    code(r.status, ['open', 'closed']) AS status,
    code(r.sentiment, ['positive', 'neutral', 'negative', 'mixed', 'unknown']) AS sentiment,
    id_instant(record_id) AS created_at,
    instant(r.lastActivityAt) AS last_activity_at,
    identifier(r.assigneeId) AS assignee_user_id,
    identifier(r.assignedAiAgentId) AS assigned_ai_agent_id,
    flag(r.isAiAssignee) AS is_ai_assignee,
    r.assigneeName AS assignee_name,
    code(r.lastEventSourceType, ['call', 'whatsapp', 'assignation']) AS last_event_source,
    code(r.lastEventDirection, ['inbound', 'outbound', 'internal']) AS last_event_direction,
    event_status(r.lastEventStatus) AS last_event_status,
    instant(r.lastEventOccurredAt) AS last_event_at,
    whole_number(r.lastEventsCount) AS event_count,
    whole_number(r.unreadCount) AS unread_count,
    concat_ws(
        ',',
        unread(r.isAiAssignee, is_ai_assignee, 'isAiAssignee'),
        unread(r.lastEventsCount, event_count, 'lastEventsCount'),
        unread(r.unreadCount, unread_count, 'unreadCount')
    ) AS unread_keys,
    deleted_at
FROM wire
