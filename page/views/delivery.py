"""Delivery: how far messages come, and why some fail."""

from page.view import Column, Drill, Part, View

_FUNNEL = """
    count(*) AS attempted,
    count(*) FILTER (status IN ('sent', 'delivered', 'read')) AS sent,
    count(*) FILTER (status IN ('delivered', 'read')) AS delivered,
    count(*) FILTER (status = 'read') AS read,
    count(*) FILTER (status = 'failed') AS failed,
    count(*) FILTER (status = 'pending') AS pending,
    delivered / nullif(sent + failed, 0) AS delivery_rate,
    read / nullif(delivered, 0) AS read_rate,
    failed / nullif(sent + failed, 0) AS failure_rate
"""
_COLUMNS = (
    Column("attempted", "count"),
    Column("sent", "count"),
    Column("delivered", "count"),
    Column("read", "count"),
    Column("failed", "count"),
    Column("pending", "count"),
    Column("delivery_rate", "share"),
    Column("read_rate", "share"),
    Column("failure_rate", "share"),
)

VIEW = View(
    name="delivery",
    order=6,
    metrics=("delivery_rate", "read_rate", "failure_rate"),
    parts=(
        Part(
            name="totals",
            picture="figures",
            compared=True,
            sql=f"SELECT {_FUNNEL} FROM {{outbound}}",
            columns=_COLUMNS,
        ),
        Part(
            name="funnel",
            picture="bars",
            sql="""
                SELECT s.stage, count(o.message_key) AS messages
                FROM (
                    SELECT unnest(range(4))::INTEGER AS number,
                        unnest(['attempted', 'sent', 'delivered', 'read']) AS stage
                ) s
                LEFT JOIN {outbound} o ON s.number <= CASE o.status
                    WHEN 'sent' THEN 1 WHEN 'delivered' THEN 2 WHEN 'read' THEN 3 ELSE 0 END
                GROUP BY s.number, s.stage ORDER BY s.number
            """,
            columns=(Column("stage", "word"), Column("messages", "count")),
            x="stage",
            series=("messages",),
        ),
        Part(
            name="failures",
            picture="table",
            sql="""
                SELECT error_code, mode(error_reason) AS reason, count(*) AS failures,
                    CASE
                        WHEN error_code = 131047 THEN 'advice_template'
                        WHEN error_code IN (131026, 131021) THEN 'advice_number'
                        WHEN error_code IN (131049, 131050) THEN 'advice_less'
                        WHEN error_code IN (130429, 131048, 131056, 80007) THEN 'advice_slower'
                        WHEN error_code BETWEEN 132000 AND 132999 THEN 'advice_wording'
                        WHEN error_code IN (131042, 131031, 368) THEN 'advice_account'
                        WHEN error_code BETWEEN 131051 AND 131053 THEN 'advice_media'
                        ELSE 'advice_none'
                    END AS advice
                FROM {outbound} WHERE status = 'failed'
                GROUP BY ALL ORDER BY failures DESC, error_code
            """,
            columns=(
                Column("error_code", "text", unknown="no_code"),
                Column("reason", "text", unknown="no_code"),
                Column("failures", "count"),
                Column("advice", "word"),
            ),
            drill=Drill.into("outbound", "status = 'failed'", error_code="error_code::VARCHAR"),
        ),
        Part(
            name="over_time",
            picture="lines",
            sql=f"""
                SELECT b.bucket, f.delivery_rate, f.read_rate, f.failure_rate, f.attempted
                FROM {{buckets}} b
                LEFT JOIN (
                    SELECT {{bucket}} AS bucket, {_FUNNEL} FROM {{outbound}} GROUP BY ALL
                ) f USING (bucket)
                ORDER BY b.bucket
            """,
            columns=(
                Column("bucket", "bucket"),
                Column("delivery_rate", "share"),
                Column("read_rate", "share"),
                Column("failure_rate", "share"),
                Column("attempted", "count"),
            ),
            x="bucket",
            series=("delivery_rate", "read_rate", "failure_rate"),
            drill=Drill.into("outbound", bucket="{bucket}"),
        ),
        Part(
            name="by_type",
            picture="table",
            sql=f"""
                SELECT message_type, {_FUNNEL} FROM {{outbound}}
                GROUP BY message_type ORDER BY attempted DESC, message_type
            """,
            columns=(Column("message_type", "word", unknown="no_webhook"), *_COLUMNS),
            drill=Drill.into("outbound", message_type="message_type"),
        ),
    ),
)
