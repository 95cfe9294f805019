"""Trust: can this page be believed? Syncs, certificates, webhooks, what was set aside."""

from page.view import Column, Part, View

VIEW = View(
    name="trust",
    order=9,
    parts=(
        Part(
            name="state",
            picture="figures",
            sql="""
                SELECT
                    (SELECT max(finished_at) FROM ops.runs WHERE status IN ('done', 'stopped'))
                        AS last_success_at,
                    (SELECT sum(requests)::BIGINT FROM ops.runs
                        WHERE started_at > $now - INTERVAL 1 DAY) AS requests_last_day,
                    (SELECT count(*) FROM ops.rejects r WHERE replayed_at IS NULL
                        AND NOT EXISTS (
                            SELECT 1 FROM ops.acknowledgements a
                            WHERE a.reject_id = r.reject_id AND a.withdrawn_at IS NULL
                        )) AS open_rejects,
                    (SELECT count(*) FROM ops.list_retries) AS lists_to_retry,
                    (SELECT sum("both") / nullif(sum(timeline_messages), 0) FROM {coverage})
                        AS webhook_coverage
            """,
            columns=(
                Column("last_success_at", "instant", unknown="never_synced"),
                Column("requests_last_day", "count", unknown="no_run"),
                Column("open_rejects", "count"),
                Column("lists_to_retry", "count"),
                Column("webhook_coverage", "share"),
            ),
        ),
        Part(
            name="certificates",
            picture="table",
            sql="""
                SELECT stream, count(*) AS lists,
                    count(*) FILTER (verdict = 'complete') AS lists_complete,
                    count(*) FILTER (verdict = 'repaired') AS lists_repaired,
                    count(*) FILTER (verdict = 'unproven') AS lists_unproven,
                    count(*) FILTER (verdict = 'failed') AS lists_failed,
                    max(finished_at) AS last_read_at
                FROM (
                    SELECT *, row_number()
                        OVER (PARTITION BY stream, parent_id ORDER BY started_at DESC) AS place
                    FROM ops.scans
                )
                WHERE place = 1
                GROUP BY ALL ORDER BY stream
            """,
            columns=(
                Column("stream", "text"),
                Column("lists", "count"),
                Column("lists_complete", "count"),
                Column("lists_repaired", "count"),
                Column("lists_unproven", "count"),
                Column("lists_failed", "count"),
                Column("last_read_at", "instant"),
            ),
        ),
        Part(
            name="coverage",
            picture="lines",
            sql="""
                SELECT b.bucket, c.coverage, c.only_timeline, c.only_webhooks
                FROM {buckets} b
                LEFT JOIN (
                    SELECT {bucket} AS bucket,
                        sum("both") / nullif(sum(timeline_messages), 0) AS coverage,
                        sum(only_timeline)::BIGINT AS only_timeline,
                        sum(only_webhooks)::BIGINT AS only_webhooks
                    FROM {coverage} GROUP BY ALL
                ) c USING (bucket)
                ORDER BY b.bucket
            """,
            columns=(
                Column("bucket", "bucket"),
                Column("coverage", "share"),
                Column("only_timeline", "count"),
                Column("only_webhooks", "count"),
            ),
            x="bucket",
            series=("coverage",),
        ),
        Part(
            name="runs",
            picture="table",
            sql="""
                SELECT started_at, finished_at, mode AS run_mode, status AS run_status, requests
                FROM ops.runs ORDER BY started_at DESC LIMIT 20
            """,
            columns=(
                Column("started_at", "instant"),
                Column("finished_at", "instant", unknown="not_finished"),
                Column("run_mode", "word"),
                Column("run_status", "word"),
                Column("requests", "count", unknown="no_run"),
            ),
        ),
        Part(
            name="rejects",
            picture="table",
            sql="""
                SELECT source, stream, reason, count(*) AS rejects,
                    min(first_seen_at) AS first_seen_at
                FROM ops.rejects WHERE replayed_at IS NULL
                GROUP BY ALL ORDER BY rejects DESC, source, stream, reason
            """,
            columns=(
                Column("source", "word"),
                Column("stream", "text", unknown="no_stream"),
                Column("reason", "text"),
                Column("rejects", "count"),
                Column("first_seen_at", "instant"),
            ),
        ),
    ),
)
