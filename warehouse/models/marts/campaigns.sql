-- A campaign: one template, or one text, sent to at least 10 contacts in a burst, and what it brought.
--
-- Costs are those of messages with a price; add them up within one currency only.
--
-- Metrics: {metric:campaign}, {metric:campaign_reply}.
--
-- grain: campaign_id
-- subject: messages
-- view: yes
--
-- campaign_id VARCHAR: of its channel, template or text, and first message
-- channel_id VARCHAR: the channel
-- template VARCHAR: name of the template; NULL where only its text is known
-- category VARCHAR: marketing, utility, …; NULL where its messages differ
-- started_at TIMESTAMPTZ: its first message
-- ended_at TIMESTAMPTZ: its last message
-- messages BIGINT: messages, failed ones too
-- contacts BIGINT: contacts that were written to
-- sent BIGINT: messages that were sent, delivered or read
-- delivered BIGINT: messages that were delivered or read
-- read BIGINT: messages that were read
-- failed BIGINT: messages that failed
-- failures JSON: number of failed messages by error code
-- replies_24h BIGINT: contacts that replied within 24 h
-- replies_72h BIGINT: contacts that replied within 72 h
-- conversations BIGINT: conversations with a reply
-- calls BIGINT: calls with the contacts within 72 h
-- median_response_seconds DOUBLE: median time until a reply was answered
-- failed_before BIGINT: contacts that were sent to although an earlier template had failed
-- currency VARCHAR: of the costs; NULL where they are of several, or unknown
-- cost DECIMAL(18,6): of its messages, charged or perhaps charged; NULL with several currencies
-- unpriced_messages BIGINT: of the delivered messages that may be charged, those without a price
-- cost_per_reply DECIMAL(18,6): cost / replies_72h; NULL without replies
WITH counted AS (
    SELECT
        m.campaign_id,
        min(m.channel_id) AS channel_id,
        min(m.template) AS template,
        CASE WHEN min(k.category) = max(k.category) THEN min(k.category) END AS category,
        min(m.sent_at) AS started_at,
        max(m.sent_at) AS ended_at,
        count(*) AS messages,
        count(DISTINCT m.contact_id) AS contacts,
        count(*) FILTER (m.status IN ('sent', 'delivered', 'read')) AS sent,
        count(*) FILTER (m.status IN ('delivered', 'read')) AS delivered,
        count(*) FILTER (m.status = 'read') AS read,
        count(*) FILTER (m.status = 'failed') AS failed,
        to_json(histogram(coalesce(TRY_CAST(m.error_code AS VARCHAR), 'unknown'))
            FILTER (m.status = 'failed')) AS failures,
        count(*) FILTER (m.reply_seconds <= 86400) AS replies_24h,
        count(m.reply_key) AS replies_72h,
        count(DISTINCT m.conversation_id) FILTER (m.reply_key IS NOT NULL) AS conversations,
        TRY_CAST(sum(m.calls) AS BIGINT) AS calls,
        median(m.response_seconds) AS median_response_seconds,
        count(DISTINCT m.contact_id) FILTER (m.has_failed_before) AS failed_before,
        CASE WHEN count(DISTINCT k.currency) = 1 THEN min(k.currency) END AS currency,
        CASE WHEN count(DISTINCT k.currency) = 1 THEN TRY_CAST(sum(k.cost) AS DECIMAL(18,6)) END
            AS cost,
        count(*) FILTER (k.message_key IS NOT NULL AND k.cost IS NULL) AS unpriced_messages
    FROM marts.campaign_messages m
    LEFT JOIN marts.message_costs k ON k.message_key = m.message_key
    GROUP BY m.campaign_id
)
SELECT
    c.campaign_id,
    c.channel_id,
    c.template,
    c.category,
    c.started_at,
    c.ended_at,
    c.messages,
    c.contacts,
    c.sent,
    c.delivered,
    c.read,
    c.failed,
    coalesce(c.failures, '{}') AS failures,
    c.replies_24h,
    c.replies_72h,
    c.conversations,
    c.calls,
    c.median_response_seconds,
    c.failed_before,
    c.currency,
    c.cost,
    c.unpriced_messages,
    CASE WHEN c.replies_72h > 0 THEN TRY_CAST(c.cost / c.replies_72h AS DECIMAL(18,6)) END
        AS cost_per_reply
FROM counted c
