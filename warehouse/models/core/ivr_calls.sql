-- An automatic outbound call that requests a digit, from its webhooks.
--
-- Of several deliveries a value beats NULL, then the latest wins.
--
-- grain: ivr_id
-- from: core.ivr_statuses
-- sorted: ivr_id
--
-- ivr_id VARCHAR: the IVR call
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
-- call_id VARCHAR: the call it became, in core.calls
-- error_message VARCHAR: what went wrong
-- hangup_cause VARCHAR: the telephone network's reason
SELECT
    ivr_id,
    arg_max(external_id, n) AS external_id,
    arg_max(channel_id, n) AS channel_id,
    arg_max(destination_number, n) AS destination_number,
    arg_max(status, n) AS status,
    arg_max(result, n) AS result,
    arg_max(pressed_digit, n) AS pressed_digit,
    arg_max(initiated_at, n) AS initiated_at,
    arg_max(ringing_at, n) AS ringing_at,
    arg_max(answered_at, n) AS answered_at,
    arg_max(completed_at, n) AS completed_at,
    arg_max(duration_seconds, n) AS duration_seconds,
    arg_max(call_id, n) AS call_id,
    arg_max(error_message, n) AS error_message,
    arg_max(hangup_cause, n) AS hangup_cause
FROM statuses
GROUP BY ivr_id
