-- Their bill and ours, by month, market, category and currency, and what explains the difference.
--
-- Only months of which there is an invoice. Messages are explained one after another: first those of
-- ours without a webhook, then those of unknown category in this market, then those of the last and
-- first day around the month's edges, which another zone puts into another month; what is left while
-- the quantities agree is another rate. Nothing explains the rest. With lines that name no quantity the
-- same is done by amount, and no other rate can be told.
--
-- Metrics: {metric:invoice_reconciliation}.
--
-- grain: month, market, category, currency
-- subject: billing
-- view: yes
--
-- month DATE: first day of the bill's month
-- market VARCHAR: on WhatsApp's price list; as written where it is none
-- category VARCHAR: marketing, utility, …; as written where it is none
-- currency VARCHAR: ISO 4217
-- invoiced_quantity BIGINT: messages of the invoices; NULL where a line names none
-- our_quantity BIGINT: charged messages of ours
-- invoiced DECIMAL(18,6): amount of the invoices
-- ours DECIMAL(18,6): estimated cost of our charged messages
-- difference DECIMAL(18,6): invoiced less ours
-- by_messages_without_webhook DECIMAL(18,6): of it, messages of which it is unknown whether they are
-- charged
-- by_unknown_category DECIMAL(18,6): of it, charged messages whose category is unknown
-- by_month_edge DECIMAL(18,6): of it, messages on the days around the month's edges
-- by_other_rate DECIMAL(18,6): of it, another price of the same messages
-- unexplained DECIMAL(18,6): the rest
-- explanation VARCHAR: agrees, or the part that is largest: messages_without_webhook, unknown_category,
-- month_edge, other_rate, not_ours (we have no such messages), not_invoiced (they have none), or
-- unexplained
-- explained_share DOUBLE: share of the amount, theirs or ours if that is larger, that is not unexplained
WITH invoiced AS (
    SELECT
        month, coalesce(market, '') AS market, coalesce(category, '') AS category, currency,
        CASE WHEN count(*) = count(quantity) THEN TRY_CAST(sum(quantity) AS BIGINT) END AS quantity,
        sum(amount) AS amount
    FROM marts.invoice_lines
    GROUP BY ALL
), costs AS (
    SELECT
        billed_month AS month, billed_on, coalesce(market, '') AS market, category, currency,
        confidence, cost, cost_low, cost_high
    FROM marts.message_costs
    WHERE currency IS NOT NULL
), ours AS (
    SELECT
        month, market, category, currency,
        count(*) FILTER (confidence = 'flagged') AS quantity,
        coalesce(sum(cost) FILTER (confidence = 'flagged'), 0) AS amount,
        count(*) FILTER (confidence = 'unknown') AS without_webhook,
        coalesce(sum(cost) FILTER (confidence = 'unknown'), 0) AS without_webhook_cost,
        count(*) FILTER (confidence = 'flagged' AND is_edge) AS leaving,
        coalesce(sum(cost) FILTER (confidence = 'flagged' AND is_edge), 0) AS leaving_cost
    FROM (
        SELECT *, billed_on = month OR billed_on = last_day(month) AS is_edge
        FROM costs
        WHERE cost IS NOT NULL AND month IN (SELECT month FROM invoiced)
    )
    GROUP BY ALL
), coming AS (
    -- Messages of the day before and the day after a month.
    SELECT
        i.month, c.market, c.category, c.currency, count(*) AS quantity, sum(c.cost) AS amount
    FROM (SELECT DISTINCT month FROM invoiced) i
    JOIN costs c ON c.billed_on = i.month - 1 OR c.billed_on = last_day(i.month) + 1
    WHERE c.confidence = 'flagged' AND c.cost IS NOT NULL
    GROUP BY ALL
), unnamed AS (
    SELECT
        month, market, currency, count(*) AS quantity,
        sum(cost_low) AS low, sum(cost_high) AS high
    FROM costs
    WHERE confidence = 'flagged' AND cost IS NULL
    GROUP BY ALL
), joined AS (
    SELECT
        month, market, category, currency,
        i.quantity AS theirs, i.amount AS invoiced, i.amount IS NOT NULL AS is_invoiced,
        coalesce(o.quantity, 0) AS our_quantity, coalesce(o.amount, 0) AS ours,
        CASE WHEN i.amount IS NULL THEN 0 ELSE i.quantity END AS their_quantity,
        coalesce(o.without_webhook, 0) AS w_quantity,
        coalesce(o.without_webhook_cost, 0) AS w_cost,
        coalesce(o.leaving, 0) AS l_quantity, coalesce(o.leaving_cost, 0) AS l_cost
    FROM invoiced i
    FULL JOIN ours o USING (month, market, category, currency)
), compared AS (
    SELECT
        b.* EXCLUDE (invoiced), coalesce(b.invoiced, 0) AS invoiced,
        coalesce(b.invoiced, 0) - b.ours AS difference,
        b.their_quantity - b.our_quantity AS more,
        coalesce(c.quantity, 0) AS c_quantity, coalesce(c.amount, 0) AS c_cost,
        CASE WHEN b.category IN ('marketing', 'utility', 'authentication',
            'authentication_international', 'marketing_lite') THEN coalesce(u.quantity, 0) ELSE 0
            END AS u_quantity,
        coalesce(u.low, 0) AS u_low, coalesce(u.high, 0) AS u_high
    FROM joined b
    LEFT JOIN coming c USING (month, market, category, currency)
    LEFT JOIN unnamed u USING (month, market, currency)
), first AS (
    -- A number of messages explains so many as the quantities differ by, each at their average price,
    -- or within a range of it; without quantities what the amounts allow.
    SELECT
        *,
        CASE
            WHEN w_quantity = 0 OR coalesce(more, difference) <= 0 THEN 0
            WHEN more IS NULL THEN greatest(0, least(difference, w_cost))
            WHEN more >= w_quantity THEN greatest(w_cost, least(difference, w_cost))
            ELSE greatest(
                TRY_CAST(w_cost * more / w_quantity AS DECIMAL(18,6)),
                least(difference, TRY_CAST(w_cost * more / w_quantity AS DECIMAL(18,6)))
            )
        END AS by_webhook,
        greatest(0, more - w_quantity) AS more_1
    FROM compared
), second AS (
    -- Messages of unknown category are of one category only: each group leaves the rest to the next.
    SELECT
        *,
        difference - by_webhook AS rest_1,
        greatest(0, least(u_quantity, u_quantity - coalesce(sum(more_1) OVER (
            PARTITION BY month, market, currency, u_quantity > 0 ORDER BY category
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))) AS u_left
    FROM first
), left_over AS (
    SELECT
        *,
        CASE WHEN u_left > 0
            THEN TRY_CAST(u_low * u_left / u_quantity AS DECIMAL(18,6)) ELSE 0 END AS low_left,
        CASE WHEN u_left > 0
            THEN TRY_CAST(u_high * u_left / u_quantity AS DECIMAL(18,6)) ELSE 0 END AS high_left
    FROM second
), third AS (
    SELECT
        *,
        CASE
            WHEN u_left = 0 OR coalesce(more_1, rest_1) <= 0 THEN 0
            WHEN more_1 IS NULL THEN greatest(0, least(rest_1, high_left))
            WHEN more_1 >= u_left THEN greatest(low_left, least(rest_1, high_left))
            ELSE greatest(
                TRY_CAST(low_left * more_1 / u_left AS DECIMAL(18,6)),
                least(rest_1, TRY_CAST(high_left * more_1 / u_left AS DECIMAL(18,6)))
            )
        END AS by_category,
        greatest(0, more_1 - u_left) AS more_2
    FROM left_over
), edge AS (
    -- Where they invoice less, messages at the month's edge left it; where more, some came into it.
    SELECT *, unnest(CASE WHEN coalesce(more, difference) < 0
        THEN {'e_quantity': l_quantity, 'e_cost': l_cost, 'e_more': -more,
            'e_rest': -difference, 'sign': -1}
        ELSE {'e_quantity': c_quantity, 'e_cost': c_cost, 'e_more': more_2,
            'e_rest': difference - by_webhook - by_category, 'sign': 1}
        END)
    FROM third
), fourth AS (
    SELECT
        *,
        sign * CASE
            WHEN e_quantity = 0 OR coalesce(e_more, e_rest) <= 0 THEN 0
            WHEN e_more IS NULL THEN greatest(0, least(e_rest, e_cost))
            WHEN e_more >= e_quantity THEN greatest(e_cost, least(e_rest, e_cost))
            ELSE greatest(
                TRY_CAST(e_cost * e_more / e_quantity AS DECIMAL(18,6)),
                least(e_rest, TRY_CAST(e_cost * e_more / e_quantity AS DECIMAL(18,6)))
            )
        END AS by_edge,
        CASE WHEN more < 0 THEN least(0, more + l_quantity) ELSE greatest(0, more_2 - c_quantity) END
            AS more_3
    FROM edge
), fifth AS (
    SELECT *, difference - by_webhook - by_category - by_edge AS rest FROM fourth
), sixth AS (
    SELECT
        *,
        CASE WHEN their_quantity > 0 AND our_quantity + w_quantity + c_quantity + u_quantity > 0
            AND more_3 = 0 THEN rest ELSE 0 END AS by_rate
    FROM fifth
)
SELECT
    month,
    nullif(market, '') AS market,
    nullif(category, '') AS category,
    currency,
    TRY_CAST(their_quantity AS BIGINT) AS invoiced_quantity,
    TRY_CAST(our_quantity AS BIGINT) AS our_quantity,
    TRY_CAST(invoiced AS DECIMAL(18,6)) AS invoiced,
    TRY_CAST(ours AS DECIMAL(18,6)) AS ours,
    TRY_CAST(difference AS DECIMAL(18,6)) AS difference,
    TRY_CAST(by_webhook AS DECIMAL(18,6)) AS by_messages_without_webhook,
    TRY_CAST(by_category AS DECIMAL(18,6)) AS by_unknown_category,
    TRY_CAST(by_edge AS DECIMAL(18,6)) AS by_month_edge,
    TRY_CAST(by_rate AS DECIMAL(18,6)) AS by_other_rate,
    TRY_CAST(rest - by_rate AS DECIMAL(18,6)) AS unexplained,
    CASE
        WHEN difference = 0 THEN 'agrees'
        WHEN rest - by_rate <> 0 AND abs(rest - by_rate)
            >= greatest(abs(by_webhook), abs(by_category), abs(by_edge), abs(by_rate)) THEN
            CASE WHEN NOT is_invoiced THEN 'not_invoiced'
                WHEN our_quantity = 0 AND rest = difference THEN 'not_ours'
                ELSE 'unexplained' END
        WHEN abs(by_webhook) >= greatest(abs(by_category), abs(by_edge), abs(by_rate))
            THEN 'messages_without_webhook'
        WHEN abs(by_category) >= greatest(abs(by_edge), abs(by_rate)) THEN 'unknown_category'
        WHEN abs(by_edge) >= abs(by_rate) THEN 'month_edge'
        ELSE 'other_rate'
    END AS explanation,
    CASE WHEN greatest(abs(invoiced), abs(ours)) > 0 THEN
        1 - least(1, TRY_CAST(abs(rest - by_rate) AS DOUBLE)
            / TRY_CAST(greatest(abs(invoiced), abs(ours)) AS DOUBLE))
        ELSE 1 END AS explained_share
FROM sixth
