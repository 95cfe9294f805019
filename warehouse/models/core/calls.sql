-- A phone call, either direction.
--
-- What only webhooks know (pickup and hang-up, numbers, recording, sentiment, rating) is NULL until
-- they are merged in.
--
-- grain: call_key
-- stream: timelines
-- view: yes
--
-- call_key VARCHAR: the call id, else the timeline event's id
-- event_id VARCHAR: the timeline event
-- conversation_id VARCHAR: the conversation
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- status VARCHAR: completed, missed, no_answer, …; the timeline's “answered” is completed
-- is_answered BOOLEAN: a pickup time is known; NULL when nothing tells
-- is_completed BOOLEAN: its final status is completed; NULL while it is not final
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
-- csat_method VARCHAR: how it was asked for
-- csat_at TIMESTAMPTZ: when it was given
-- in_timeline BOOLEAN: the timeline has it
-- in_webhooks BOOLEAN: webhooks told of it
-- deleted_at TIMESTAMPTZ: when its absence was proven, NULL while it lives
WITH named AS (
    SELECT *, CASE status WHEN 'answered' THEN 'completed' ELSE status END AS call_status
    FROM core.timeline_events
    WHERE source = 'call'
)
SELECT
    coalesce(nullif(source_id, ''), event_id) AS call_key,
    event_id,
    conversation_id,
    contact_id,
    channel_id,
    direction,
    call_status AS status,
    NULL::BOOLEAN AS is_answered,
    CASE WHEN call_status NOT IN ('ringing', 'active') THEN call_status = 'completed' END
        AS is_completed,
    occurred_at AS started_at,
    NULL::TIMESTAMPTZ AS picked_up_at,
    NULL::TIMESTAMPTZ AS ended_at,
    duration_seconds,
    ringing_seconds,
    owner_user_id AS user_id,
    handler_name AS user_name,
    ai_agent_id,
    is_ai AS is_ai_call,
    NULL::VARCHAR AS caller_number,
    NULL::VARCHAR AS callee_number,
    NULL::VARCHAR AS contact_number,
    NULL::VARCHAR AS recording_url,
    ai_summary AS summary,
    NULL::VARCHAR AS sentiment,
    ai_transcription AS transcription,
    NULL::DOUBLE AS csat_rating,
    NULL::VARCHAR AS csat_method,
    NULL::TIMESTAMPTZ AS csat_at,
    true AS in_timeline,
    false AS in_webhooks,
    deleted_at
FROM named
QUALIFY row_number() OVER (
    PARTITION BY coalesce(nullif(source_id, ''), event_id)
    ORDER BY deleted_at IS NOT NULL, occurred_at, event_id
) = 1
