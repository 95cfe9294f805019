"""Campaigns: what templates to many brought, and what a reply costs."""

from page.view import Column, Drill, Part, View

_COUNTS = """
    count(*) AS campaigns,
    coalesce(sum(contacts), 0)::BIGINT AS contacts_written,
    coalesce(sum(sent), 0)::BIGINT AS sent,
    coalesce(sum(delivered), 0)::BIGINT AS delivered,
    coalesce(sum(read), 0)::BIGINT AS read,
    coalesce(sum(failed), 0)::BIGINT AS failed,
    coalesce(sum(replies_72h), 0)::BIGINT AS replies,
    sum(replies_72h) / nullif(sum(delivered), 0) AS reply_share
"""
_LIST = """
    SELECT template, channel_id, category, started_at, contacts AS contacts_written, sent,
        delivered, read, failed, replies_72h AS replies,
        replies_72h / nullif(delivered, 0) AS reply_share, conversations, calls,
        failed_before, currency, cost, unpriced_messages, cost_per_reply, campaign_id
    FROM {campaigns} ORDER BY started_at DESC, campaign_id
"""
_LIST_COLUMNS = (
    Column("template", "text", unknown="no_template"),
    Column("channel_id", "channel"),
    Column("category", "word", unknown="no_category"),
    Column("started_at", "instant"),
    Column("contacts_written", "count"),
    Column("sent", "count"),
    Column("delivered", "count"),
    Column("read", "count"),
    Column("failed", "count"),
    Column("replies", "count"),
    Column("reply_share", "share"),
    Column("conversations", "count"),
    Column("calls", "count"),
    Column("failed_before", "count"),
    Column("currency", "text", unknown="no_rate"),
    Column("cost", "money", unknown="no_rate"),
    Column("unpriced_messages", "count"),
    Column("cost_per_reply", "money", unknown="no_reply_or_rate"),
    Column("campaign_id", "key"),
)
_BEHIND = Drill.into("campaign_messages", campaign_id="campaign_id")

VIEW = View(
    name="campaigns",
    order=7,
    metrics=("campaign", "campaign_reply", "message_category", "message_cost"),
    shared=("marts.campaigns",),
    parts=(
        Part(
            name="totals",
            picture="figures",
            compared=True,
            sql=f"SELECT {_COUNTS} FROM {{campaigns}}",
            columns=(
                Column("campaigns", "count"),
                Column("contacts_written", "count"),
                Column("sent", "count"),
                Column("delivered", "count"),
                Column("read", "count"),
                Column("failed", "count"),
                Column("replies", "count"),
                Column("reply_share", "share"),
            ),
        ),
        Part(
            name="costs",
            picture="figures",
            compared=True,
            per="currency",
            sql="""
                SELECT currency, sum(cost) AS cost,
                    sum(cost) / nullif(sum(replies_72h), 0) AS cost_per_reply,
                    sum(unpriced_messages)::BIGINT AS unpriced_messages
                FROM {campaigns} WHERE currency IS NOT NULL GROUP BY ALL ORDER BY currency
            """,
            columns=(
                Column("currency", "text"),
                Column("cost", "money", unknown="no_rate"),
                Column("cost_per_reply", "money", unknown="no_reply_or_rate"),
                Column("unpriced_messages", "count"),
            ),
        ),
        Part(
            name="reach",
            picture="ranking",
            sql=_LIST,
            columns=_LIST_COLUMNS,
            x="template",
            series=("delivered", "read", "replies"),
            drill=_BEHIND,
        ),
        Part(
            name="by_cost",
            picture="ranking",
            sql=f"""
                FROM ({_LIST}) WHERE cost_per_reply IS NOT NULL
                ORDER BY cost_per_reply DESC, campaign_id
            """,
            columns=_LIST_COLUMNS,
            x="template",
            series=("cost_per_reply",),
            drill=_BEHIND,
        ),
        Part(
            name="list",
            picture="table",
            sql=_LIST,
            columns=_LIST_COLUMNS,
            drill=_BEHIND,
        ),
    ),
)
