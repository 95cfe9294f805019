-- A person or AI agent of the workspace.
--
-- grain: user_id
-- stream: users
-- replace: user_id
-- instants: created_at=creationTime
--
-- user_id VARCHAR: the identity that assignees, senders and handlers refer to; an AI agent's id
-- membership_id VARCHAR: id of the membership record, used nowhere else
-- name VARCHAR: as shown in the portal
-- email VARCHAR: NULL for AI agents
-- phone_number VARCHAR: as sent
-- role VARCHAR: owner or member
-- is_ai_agent BOOLEAN: whether this is an AI agent
-- created_at TIMESTAMPTZ: when it joined
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH wire AS (
    SELECT
        record_id,
        deleted_at,
        json_transform(payload, '{
            "id": "VARCHAR", "userId": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR",
            "phoneNumber": "JSON", "role": "VARCHAR", "isAiAgent": "VARCHAR",
            "creationTime": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    record_id AS user_id,
    identifier(r.id) AS membership_id,
    r.name AS name,
    r.email AS email,
    text_or_key(r.phoneNumber, '$.number') AS phone_number,
    code(r.role, ['owner', 'member']) AS role,
    coalesce(flag(r.isAiAgent), false) AS is_ai_agent,
    instant(r.creationTime) AS created_at,
    unread(r.isAiAgent, flag(r.isAiAgent), 'isAiAgent') AS unread_keys,
    deleted_at
FROM wire
