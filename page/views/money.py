"""Money: what messages cost by day, country and type, with what is unknown beside it."""

from page.view import Column, Drill, Part, View

_SUMS = """
    sum(estimated_cost) AS estimated_cost,
    sum(unknown_cost) AS unknown_cost,
    sum(charged_messages)::BIGINT AS charged_messages,
    sum(unknown_messages)::BIGINT AS unknown_messages
"""
_SUM_COLUMNS = (
    Column("estimated_cost", "money", unknown="no_rate"),
    Column("unknown_cost", "money", unknown="no_rate"),
    Column("charged_messages", "count"),
    Column("unknown_messages", "count"),
)
_PRICED = "direction = 'outbound' AND currency IS NOT NULL"


def _ranked(name: str, by: Column) -> Part:
    """Return the costs by a column of the relation ``billing``, the highest first."""
    return Part(
        name=name,
        picture="ranking",
        stacked=True,
        sql=f"""
            SELECT {by.name}, currency, {_SUMS} FROM {{billing}} WHERE {_PRICED}
            GROUP BY ALL ORDER BY estimated_cost DESC NULLS LAST, {by.name}, currency
        """,
        columns=(by, Column("currency", "text"), *_SUM_COLUMNS),
        x=by.name,
        series=("estimated_cost", "unknown_cost"),
        drill=Drill.into("costs", **{by.name: by.name}),
    )


VIEW = View(
    name="money",
    order=4,
    metrics=(
        "message_cost",
        "charged_messages",
        "message_category",
        "message_market",
        "invoice_reconciliation",
        "reporting_day",
    ),
    parts=(
        Part(
            name="costs",
            picture="figures",
            compared=True,
            per="currency",
            sql=f"""
                SELECT currency, {_SUMS} FROM {{billing}} WHERE {_PRICED}
                GROUP BY ALL ORDER BY charged_messages DESC, currency
            """,
            columns=(Column("currency", "text"), *_SUM_COLUMNS),
        ),
        Part(
            name="messages",
            picture="figures",
            compared=True,
            sql="""
                SELECT
                    coalesce(sum(delivered), 0)::BIGINT AS delivered_messages,
                    coalesce(sum(charged_messages), 0)::BIGINT AS charged_messages,
                    coalesce(sum(unknown_messages), 0)::BIGINT AS unknown_messages,
                    coalesce(sum(charged_messages + unknown_messages)
                        FILTER (currency IS NULL), 0)::BIGINT AS unpriced_messages
                FROM {billing} WHERE direction = 'outbound'
            """,
            columns=(
                Column("delivered_messages", "count"),
                Column("charged_messages", "count"),
                Column("unknown_messages", "count"),
                Column("unpriced_messages", "count"),
            ),
        ),
        Part(
            name="month",
            picture="table",
            # The days to come cost as much as the last 28 did: their mean, and the mean of the
            # seven cheapest and the seven dearest of them.
            sql="""
                WITH days AS (
                    SELECT currency, date, sum(estimated_cost) AS cost
                    FROM marts.message_billing_daily
                    WHERE direction = 'outbound' AND currency IS NOT NULL
                        AND date BETWEEN least($today - 28, date_trunc('month', $today)::DATE)
                            AND $today
                    GROUP BY ALL
                ), lately AS (
                    SELECT c.currency, coalesce(d.cost, 0) AS cost,
                        row_number() OVER (PARTITION BY c.currency ORDER BY coalesce(d.cost, 0))
                            AS place
                    FROM (SELECT DISTINCT currency FROM days) c
                    CROSS JOIN (SELECT unnest(range(1, 29))::INTEGER AS back) b
                    LEFT JOIN days d ON d.currency = c.currency AND d.date = $today - b.back
                ), ahead AS (
                    SELECT currency, avg(cost) AS usual,
                        avg(cost) FILTER (place <= 7) AS least,
                        avg(cost) FILTER (place > 21) AS most
                    FROM lately GROUP BY ALL
                ), so_far AS (
                    SELECT currency,
                        coalesce(sum(cost) FILTER (date >= date_trunc('month', $today)), 0) AS cost
                    FROM days GROUP BY ALL
                )
                SELECT currency, s.cost AS cost_so_far,
                    (last_day($today) - $today)::INTEGER AS days_left,
                    s.cost::DOUBLE + days_left * least AS cost_low,
                    s.cost::DOUBLE + days_left * usual AS cost_expected,
                    s.cost::DOUBLE + days_left * most AS cost_high
                FROM so_far s JOIN ahead USING (currency)
                ORDER BY currency
            """,
            columns=(
                Column("currency", "text"),
                Column("cost_so_far", "money"),
                Column("days_left", "count"),
                Column("cost_low", "money"),
                Column("cost_expected", "money"),
                Column("cost_high", "money"),
            ),
        ),
        Part(
            name="over_time",
            picture="bars",
            stacked=True,
            sql=f"""
                SELECT b.bucket, c.* EXCLUDE (bucket)
                FROM {{buckets}} b
                LEFT JOIN (
                    SELECT {{bucket}} AS bucket, currency, {_SUMS}
                    FROM {{billing}}
                    -- One currency is drawn: the one of most messages.
                    WHERE {_PRICED} AND currency = (
                        SELECT currency FROM {{billing}} WHERE {_PRICED} GROUP BY currency
                        ORDER BY sum(charged_messages + unknown_messages) DESC, currency LIMIT 1
                    )
                    GROUP BY ALL
                ) c USING (bucket)
                ORDER BY b.bucket
            """,
            columns=(
                Column("bucket", "bucket"),
                Column("currency", "text", unknown="nothing_charged"),
                *_SUM_COLUMNS,
            ),
            x="bucket",
            series=("estimated_cost", "unknown_cost"),
            drill=Drill.into("costs", bucket="{bucket}"),
        ),
        _ranked("by_country", Column("country", "country", unknown="unknown_country")),
        _ranked("by_type", Column("message_type", "word", unknown="no_webhook")),
        Part(
            name="by_category",
            picture="table",
            sql="""
                SELECT category, currency, count(*) AS messages,
                    sum(cost) FILTER (confidence = 'flagged') AS estimated_cost,
                    sum(cost) FILTER (confidence = 'unknown') AS unknown_cost
                FROM {costs}
                GROUP BY ALL ORDER BY messages DESC, category, currency
            """,
            columns=(
                Column("category", "word", unknown="no_category"),
                Column("currency", "text", unknown="no_rate"),
                Column("messages", "count"),
                Column("estimated_cost", "money", unknown="no_rate"),
                Column("unknown_cost", "money", unknown="nothing_unknown"),
            ),
        ),
        Part(
            name="bill",
            picture="table",
            sql="""
                SELECT month, market, category, currency,
                    sum(messages)::BIGINT AS messages,
                    sum(charged_messages)::BIGINT AS charged_messages,
                    sum(unknown_messages)::BIGINT AS unknown_messages,
                    sum(free_messages)::BIGINT AS free_messages,
                    sum(estimated_cost) AS estimated_cost,
                    sum(unknown_cost) AS unknown_cost,
                    sum(unknown_category_cost_low) AS unknown_category_cost_low,
                    sum(unknown_category_cost_high) AS unknown_category_cost_high
                FROM {bills}
                GROUP BY ALL
                ORDER BY month DESC, estimated_cost DESC NULLS LAST, market, category, currency
            """,
            columns=(
                Column("month", "month"),
                Column("market", "text", unknown="no_market"),
                Column("category", "word", unknown="no_category"),
                Column("currency", "text", unknown="no_rate"),
                Column("messages", "count"),
                *_SUM_COLUMNS[2:],
                Column("free_messages", "count"),
                *_SUM_COLUMNS[:2],
                Column("unknown_category_cost_low", "money", unknown="nothing_unknown"),
                Column("unknown_category_cost_high", "money", unknown="nothing_unknown"),
            ),
        ),
        Part(
            name="reconciliation",
            picture="table",
            sql="""
                SELECT month, market, category, currency, invoiced, ours, difference,
                    explained_share, explanation, invoiced_quantity, our_quantity,
                    by_messages_without_webhook, by_unknown_category, by_month_edge,
                    by_other_rate, unexplained
                FROM {reconciliation}
                ORDER BY month DESC, abs(unexplained) DESC, market, category, currency
            """,
            columns=(
                Column("month", "month"),
                Column("market", "text", unknown="not_named"),
                Column("category", "word", unknown="not_named"),
                Column("currency", "text"),
                Column("invoiced", "money"),
                Column("ours", "money"),
                Column("difference", "money"),
                Column("explained_share", "share"),
                Column("explanation", "word"),
                Column("invoiced_quantity", "count", unknown="not_named"),
                Column("our_quantity", "count"),
                Column("by_messages_without_webhook", "money"),
                Column("by_unknown_category", "money"),
                Column("by_month_edge", "money"),
                Column("by_other_rate", "money"),
                Column("unexplained", "money"),
            ),
        ),
        Part(
            name="contacts",
            picture="table",
            sql="""
                SELECT v.conversation_id, c.name AS contact, k.currency, sum(k.cost) AS cost,
                    count(*) AS messages,
                    coalesce(any_value(s.inbound_messages), 0) = 0 AS has_never_answered
                FROM {costs} k
                JOIN core.conversations v USING (conversation_id)
                LEFT JOIN core.contacts c ON c.contact_id = v.contact_id
                LEFT JOIN marts.contact_summary s ON s.contact_id = v.contact_id
                GROUP BY ALL
                HAVING sum(k.cost) > 0
                ORDER BY cost DESC, v.conversation_id
                LIMIT 50
            """,
            columns=(
                Column("conversation_id", "conversation"),
                Column("contact", "text"),
                Column("currency", "text"),
                Column("cost", "money"),
                Column("messages", "count"),
                Column("has_never_answered", "flag"),
            ),
        ),
    ),
)
