-- A phone call, either direction.
--
-- Made of the timeline and of webhooks, whichever came first, in any order. What only webhooks
-- know (pickup and hang-up, numbers, recording, sentiment, rating) is NULL where none came. Which
-- event is which call: warehouse/models/merge/call_keys.sql.
--
-- grain: call_key
-- from: core.timeline_events, core.call_statuses
-- sorted: conversation_id
--
-- call_key VARCHAR: the call id, else the timeline event's id
-- event_id VARCHAR: the timeline event
-- conversation_id VARCHAR: the timeline's, else the only one of contact and channel, else NULL
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- status VARCHAR: ringing, active, completed, missed, rejected_by_caller, rejected_by_callee, no_answer,
-- cancelled, failed; from timelines also rejected; their “answered” is completed
-- is_answered BOOLEAN: a pickup time is known, by a machine too; NULL when that is unknown
-- is_completed BOOLEAN: its final status is completed; NULL while it is not final, or
-- one that we do not know
-- started_at TIMESTAMPTZ: the call's own time
-- picked_up_at TIMESTAMPTZ: when somebody or something picked up
-- ended_at TIMESTAMPTZ: when it ended
-- duration_seconds DOUBLE: length in seconds
-- ringing_seconds DOUBLE: how long it rang, in seconds
-- user_id VARCHAR: who took or made it
-- user_name VARCHAR: the same, as text
-- ai_agent_id VARCHAR: the AI agent involved
-- is_ai_call BOOLEAN: handled by an AI agent
-- caller_number VARCHAR: as sent
-- callee_number VARCHAR: as sent
-- contact_number VARCHAR: as sent
-- recording_url VARCHAR: may expire, is private
-- summary VARCHAR: AI summary
-- sentiment VARCHAR: positive, neutral, negative, mixed or unknown; not a scale
-- transcription VARCHAR: AI transcript
-- csat_rating DOUBLE: the customer's rating
-- csat_method VARCHAR: how it was collected
-- csat_at TIMESTAMPTZ: when it was given
-- in_timeline BOOLEAN: the timeline has it
-- in_webhooks BOOLEAN: webhooks have it
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH known AS (
    -- Of several deliveries: a value beats none, then the latest, then the body hash.
    SELECT
        call_id,
        arg_max(contact_id, n) AS contact_id,
        arg_max(channel_id, n) AS channel_id,
        arg_max(direction, n) AS direction,
        arg_max(status, n) FILTER (is_final_status(status)) AS final_status,
        arg_max(status, n) FILTER (starts_with(status, 'unknown:')) AS unknown_status,
        arg_max(status, n) FILTER (is_under_way(status)) AS passing_status,
        arg_max(started_at, n) AS started_at,
        arg_max(picked_up_at, n) AS picked_up_at,
        arg_max(ended_at, n) AS ended_at,
        arg_max(duration_seconds, n) AS duration_seconds,
        arg_max(user_id, n) AS user_id,
        arg_max(user_name, n) AS user_name,
        arg_max(ai_agent_id, n) AS ai_agent_id,
        arg_max(is_ai_call, n) AS is_ai_call,
        arg_max(caller_number, n) AS caller_number,
        arg_max(callee_number, n) AS callee_number,
        arg_max(contact_number, n) AS contact_number,
        arg_max(recording_url, n) AS recording_url,
        arg_max(summary, n) AS summary,
        arg_max(sentiment, n) AS sentiment,
        arg_max(transcription, n) AS transcription,
        arg_max(csat_rating, n) AS csat_rating,
        arg_max(csat_method, n) AS csat_method,
        arg_max(csat_at, n) AS csat_at
    FROM statuses
    GROUP BY call_id
), listed AS (
    SELECT
        k.call_key,
        t.* REPLACE (CASE t.status WHEN 'answered' THEN 'completed' ELSE t.status END AS status)
    FROM timeline t
    JOIN call_keys k ON k.event_id = t.event_id
), pairs AS (
    SELECT contact_id, channel_id, min(conversation_id) AS conversation_id
    FROM core.conversations
    WHERE contact_id IN (SELECT contact_id FROM known)
    GROUP BY contact_id, channel_id
    HAVING count(*) = 1
), joined AS (
    SELECT
        coalesce(t.call_key, w.call_id) AS call_key,
        t.event_id,
        coalesce(t.conversation_id, p.conversation_id) AS conversation_id,
        coalesce(t.contact_id, w.contact_id) AS contact_id,
        coalesce(t.channel_id, w.channel_id) AS channel_id,
        coalesce(t.direction, w.direction) AS direction,
        coalesce(
            w.final_status,
            CASE WHEN NOT is_under_way(t.status) THEN t.status END,
            w.unknown_status,
            w.passing_status,
            t.status
        ) AS status,
        w.final_status IS NOT NULL AS is_final,
        coalesce(t.occurred_at, w.started_at) AS started_at,
        w.picked_up_at,
        w.ended_at,
        coalesce(w.duration_seconds, t.duration_seconds) AS duration_seconds,
        t.ringing_seconds,
        coalesce(w.user_id, identifier(t.owner_user_id)) AS user_id,
        coalesce(w.user_name, t.handler_name) AS user_name,
        coalesce(identifier(t.ai_agent_id), w.ai_agent_id) AS ai_agent_id,
        coalesce(t.is_ai, w.is_ai_call) AS is_ai_call,
        w.caller_number,
        w.callee_number,
        w.contact_number,
        w.recording_url,
        coalesce(w.summary, t.ai_summary) AS summary,
        w.sentiment,
        coalesce(w.transcription, t.ai_transcription) AS transcription,
        w.csat_rating,
        w.csat_method,
        w.csat_at,
        t.event_id IS NOT NULL AS in_timeline,
        w.call_id IS NOT NULL AS in_webhooks,
        t.deleted_at
    FROM listed t
    FULL JOIN known w ON w.call_id = t.call_key
    LEFT JOIN pairs p ON p.contact_id = w.contact_id AND p.channel_id = w.channel_id
)
SELECT
    call_key,
    event_id,
    conversation_id,
    contact_id,
    channel_id,
    direction,
    status,
    CASE WHEN picked_up_at IS NOT NULL THEN true WHEN is_final THEN false END AS is_answered,
    CASE WHEN is_final_status(status) THEN status = 'completed' END AS is_completed,
    started_at,
    picked_up_at,
    ended_at,
    duration_seconds,
    ringing_seconds,
    user_id,
    user_name,
    ai_agent_id,
    is_ai_call,
    caller_number,
    callee_number,
    contact_number,
    recording_url,
    summary,
    sentiment,
    transcription,
    csat_rating,
    csat_method,
    csat_at,
    in_timeline,
    in_webhooks,
    deleted_at
FROM joined
