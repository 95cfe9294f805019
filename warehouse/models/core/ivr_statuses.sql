-- One distinct webhook delivery about an outbound IVR call, typed, with its receive time.
--
-- The service sends status and result as numbers, counted from 0 in the order of its description, or
-- as words of one of two vocabularies. The relation ``records`` holds deliveries of
-- raw.webhook_events.
--
-- grain: delivery_id
-- from: raw.webhook_events
-- sorted: ivr_id
--
-- delivery_id VARCHAR: SHA-256 of the body
-- seq BIGINT: order of arrival
-- ivr_id VARCHAR: the IVR call
-- received_at TIMESTAMPTZ: when this body was first received
-- is_stated BOOLEAN: an envelope stated that; else a file's modification time stands in for the order
-- external_id VARCHAR: the id given by the system that ordered the call
-- channel_id VARCHAR: the channel
-- destination_number VARCHAR: as sent
-- status VARCHAR: pending, initiated, ringing, in_progress, completed, no_answer, busy or failed
-- result VARCHAR: none, digit_pressed, no_input, …
-- pressed_digit VARCHAR: what the called person pressed
-- initiated_at TIMESTAMPTZ: when it was ordered
-- ringing_at TIMESTAMPTZ: when it began to ring
-- answered_at TIMESTAMPTZ: when it was picked up
-- completed_at TIMESTAMPTZ: when it was over
-- duration_seconds DOUBLE: length in seconds
-- call_id VARCHAR: the call it became
-- error_message VARCHAR: what went wrong
-- hangup_cause VARCHAR: the telephone network's reason
WITH wire AS (
    SELECT
        *,
        json_transform(payload, '{
            "id": "VARCHAR", "externalId": "VARCHAR", "destinationNumber": "VARCHAR",
            "status": "VARCHAR", "result": "VARCHAR", "pressedDigit": "VARCHAR",
            "initiatedAt": "VARCHAR", "ringingAt": "VARCHAR", "answeredAt": "VARCHAR",
            "completedAt": "VARCHAR", "callDurationSeconds": "DOUBLE", "callId": "VARCHAR",
            "errorMessage": "VARCHAR", "hangupCause": "VARCHAR"
        }') AS r
    FROM records
)
SELECT
    delivery_id,
    seq,
    identifier(r.id) AS ivr_id,
    received_at,
    is_stated,
    r.externalId AS external_id,
    identifier(channel_id) AS channel_id,
    r.destinationNumber AS destination_number,
    code_from_zero(r.status, [
        'pending', 'initiated', 'ringing', 'in_progress', 'completed', 'no_answer', 'busy', 'failed'
    ]) AS status,
    CASE
        -- The second vocabulary has words only.
        WHEN snake(r.result) IN ('success', 'no_answer', 'busy', 'failed', 'dtmf_timeout')
            THEN snake(r.result)
        ELSE code_from_zero(r.result, [
            'none', 'digit_pressed', 'no_input', 'invalid_input', 'not_answered',
            'destination_busy', 'technical_failure', 'cancelled'
        ])
    END AS result,
    r.pressedDigit AS pressed_digit,
    webhook_instant(r.initiatedAt) AS initiated_at,
    webhook_instant(r.ringingAt) AS ringing_at,
    webhook_instant(r.answeredAt) AS answered_at,
    webhook_instant(r.completedAt) AS completed_at,
    r.callDurationSeconds AS duration_seconds,
    identifier(r.callId) AS call_id,
    r.errorMessage AS error_message,
    r.hangupCause AS hangup_cause
FROM wire
