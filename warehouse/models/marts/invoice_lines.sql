-- A line of an invoice (HATIF_INVOICES), in our words where they are known.
--
-- grain: file, line
-- subject: billing
-- view: yes
--
-- file VARCHAR: name of the file
-- line BIGINT: of the file
-- month DATE: first day of the bill's month
-- channel VARCHAR: as written: an id, a number or a name
-- channel_id VARCHAR: the channel, where it is one of ours and only one
-- market VARCHAR: on WhatsApp's price list; as written where it is none
-- category VARCHAR: marketing, utility, …; as written, in snake case, where it is none
-- quantity BIGINT: messages; NULL where the line has none
-- amount DECIMAL(18,6): in currency
-- currency VARCHAR: ISO 4217
-- more JSON: other columns of the file
WITH named AS (
    SELECT given, CASE WHEN count(DISTINCT channel_id) = 1 THEN min(channel_id) END AS channel_id
    FROM (
        SELECT channel_id, channel_id AS given FROM core.channels
        UNION ALL
        SELECT channel_id, regexp_replace(phone_number, '[^0-9]', '', 'g') FROM core.channels
        UNION ALL
        SELECT channel_id, lower(name) FROM core.channels
    )
    WHERE given <> ''
    GROUP BY given
)
SELECT
    l.file,
    l.line,
    l.month,
    nullif(l.channel, '') AS channel,
    coalesce(n.channel_id, d.channel_id) AS channel_id,
    nullif(l.market, '') AS market,
    nullif(l.category, '') AS category,
    l.quantity,
    l.amount,
    l.currency,
    l.more
FROM ops.invoice_lines l
LEFT JOIN named n ON n.given = lower(l.channel)
LEFT JOIN named d ON n.given IS NULL AND d.given = regexp_replace(l.channel, '[^0-9]', '', 'g')
