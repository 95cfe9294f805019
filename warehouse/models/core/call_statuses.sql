-- One distinct webhook delivery about a call, typed, with its receive time.
--
-- A call has a delivery when it rings, when it ends, and again when its recording, summary or rating is
-- ready. The relation ``records`` holds deliveries of raw.webhook_events.
--
-- grain: delivery_id
-- from: raw.webhook_events
-- sorted: call_id
--
-- delivery_id VARCHAR: SHA-256 of the body
-- seq BIGINT: order of arrival
-- call_id VARCHAR: the call
-- received_at TIMESTAMPTZ: when this body was first received
-- is_stated BOOLEAN: an envelope stated that; else a file's modification time stands in for the order
-- contact_id VARCHAR: the contact
-- channel_id VARCHAR: the channel
-- direction VARCHAR: inbound or outbound
-- status VARCHAR: ringing, active, completed, missed, no_answer, cancelled, failed, rejected_by_caller
-- or rejected_by_callee; one never seen before is unknown:<code>
-- started_at TIMESTAMPTZ: the call's own time
-- picked_up_at TIMESTAMPTZ: when somebody or something picked up
-- ended_at TIMESTAMPTZ: when it ended
-- duration_seconds DOUBLE: length in seconds
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
-- transcription VARCHAR: transcript; where only words came, these in order of their time
-- csat_rating DOUBLE: the customer's rating
-- csat_method VARCHAR: how it was collected
-- csat_at TIMESTAMPTZ: when it was given
WITH wire AS (
    SELECT
        *,
        json_transform(payload, '{
            "callId": "VARCHAR", "contactId": "VARCHAR", "type": "VARCHAR", "status": "VARCHAR",
            "creationTime": "VARCHAR", "pickupTime": "VARCHAR", "hangupTime": "VARCHAR",
            "callLength": "VARCHAR", "userId": "VARCHAR", "userName": "VARCHAR",
            "aiAgentId": "VARCHAR", "isAiCall": "VARCHAR", "callerNumber": "VARCHAR",
            "calleeNumber": "VARCHAR", "contactNumber": "VARCHAR", "recordingUrl": "VARCHAR",
            "summary": "VARCHAR", "sentiment": "VARCHAR", "transcription": "JSON",
            "csatRating": "DOUBLE", "csatMethod": "VARCHAR", "csatCollectedAt": "VARCHAR"
        }') AS r
    FROM records
), spoken AS (
    SELECT
        *,
        -- Only an object is looked into: text that begins with a brace is text.
        CASE WHEN json_type(r.transcription) = 'OBJECT' THEN json_transform(
            r.transcription,
            '{"text": "VARCHAR", "words": [{"start": "DOUBLE", "text": "VARCHAR"}]}'
        ) END AS spoken
    FROM wire
)
SELECT
    delivery_id,
    seq,
    identifier(r.callId) AS call_id,
    received_at,
    is_stated,
    identifier(r.contactId) AS contact_id,
    identifier(channel_id) AS channel_id,
    code(r.type, ['inbound', 'outbound']) AS direction,
    code_from_zero(r.status, [
        'active', 'completed', 'missed', 'rejected_by_caller', 'rejected_by_callee', 'no_answer',
        'cancelled', 'failed', 'ringing'
    ]) AS status,
    webhook_instant(r.creationTime) AS started_at,
    webhook_instant(r.pickupTime) AS picked_up_at,
    webhook_instant(r.hangupTime) AS ended_at,
    timespan_seconds(r.callLength) AS duration_seconds,
    identifier(r.userId) AS user_id,
    r.userName AS user_name,
    identifier(r.aiAgentId) AS ai_agent_id,
    TRY_CAST(r.isAiCall AS BOOLEAN) AS is_ai_call,
    r.callerNumber AS caller_number,
    r.calleeNumber AS callee_number,
    r.contactNumber AS contact_number,
    r.recordingUrl AS recording_url,
    r.summary AS summary,
    code(r.sentiment, ['positive', 'neutral', 'negative', 'mixed', 'unknown']) AS sentiment,
    CASE WHEN spoken IS NULL THEN r.transcription ->> '$' ELSE coalesce(spoken.text, nullif(
        array_to_string(
            list_transform(list_sort(spoken.words), lambda spoken_word: spoken_word.text), ' '
        ), ''
    )) END AS transcription,
    r.csatRating AS csat_rating,
    r.csatMethod AS csat_method,
    webhook_instant(r.csatCollectedAt) AS csat_at
FROM spoken
