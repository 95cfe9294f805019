-- Tables of raw and ops, the same in every home; those of core and marts follow from
-- warehouse/models. A column added here is added to the tables of older homes.
CREATE SCHEMA IF NOT EXISTS wh.raw;
CREATE SCHEMA IF NOT EXISTS wh.core;
CREATE SCHEMA IF NOT EXISTS wh.marts;
CREATE SCHEMA IF NOT EXISTS wh.ops;
CREATE TABLE IF NOT EXISTS wh.raw.records (
    stream VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    parent_id VARCHAR,
    seq BIGINT NOT NULL,
    op VARCHAR NOT NULL,
    payload JSON,
    payload_hash VARCHAR,
    scan_id VARCHAR,
    fetched_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.raw.webhook_events (
    delivery_id VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    channel_id VARCHAR,
    conversation_id VARCHAR,
    received_at TIMESTAMPTZ NOT NULL,
    signature VARCHAR NOT NULL,
    body VARCHAR NOT NULL,
    payload JSON,
    is_stated BOOLEAN
);
CREATE TABLE IF NOT EXISTS wh.ops.scans (
    scan_id VARCHAR NOT NULL,
    run_id VARCHAR,
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    mode VARCHAR,
    reason VARCHAR,
    whole BOOLEAN,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    requests BIGINT,
    rows_read BIGINT,
    distinct_ids BIGINT,
    total_before BIGINT,
    total_after BIGINT,
    passes BIGINT,
    page_size BIGINT,
    verdict VARCHAR NOT NULL,
    time_offset_minutes BIGINT,
    note VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.cursors (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    state JSON,
    updated_at TIMESTAMPTZ,
    read_at TIMESTAMPTZ,
    whole_at TIMESTAMPTZ,
    watermark TIMESTAMPTZ,
    signal VARCHAR,
    due_at TIMESTAMPTZ,
    surplus BIGINT,
    round VARCHAR,
    gap BIGINT,
    doubted_at TIMESTAMPTZ,
    changed_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS wh.ops.absences (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    record_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    missing_since TIMESTAMPTZ NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL,
    proof VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.list_retries (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    verdict VARCHAR NOT NULL,
    times BIGINT NOT NULL,
    message VARCHAR,
    signal VARCHAR,
    ended_at TIMESTAMPTZ NOT NULL,
    retry_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.unfinished_scans (
    scan_id VARCHAR NOT NULL,
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    certificate JSON NOT NULL,
    position JSON NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.sightings (
    scan_id VARCHAR NOT NULL,
    pass INTEGER NOT NULL,
    record_id VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.rejects (
    reject_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    stream VARCHAR,
    reason VARCHAR NOT NULL,
    raw VARCHAR,
    location VARCHAR,
    first_seen_at TIMESTAMPTZ NOT NULL,
    replayed_at TIMESTAMPTZ,
    received_at TIMESTAMPTZ,
    signature VARCHAR,
    is_stated BOOLEAN,
    last_seen_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS wh.ops.shared_notes (
    note_id VARCHAR NOT NULL,
    contact_id VARCHAR NOT NULL,
    text VARCHAR,
    creator_name VARCHAR,
    creator_id VARCHAR,
    created_at TIMESTAMPTZ,
    deleted_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS wh.ops.acknowledgements (
    reject_id VARCHAR NOT NULL,
    acknowledged_at TIMESTAMPTZ NOT NULL,
    acknowledged_by VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    withdrawn_at TIMESTAMPTZ,
    withdrawn_by VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.drift (
    stream VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    what VARCHAR NOT NULL,
    example VARCHAR,
    first_seen_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.runs (
    run_id VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    mode VARCHAR,
    requests BIGINT,
    status VARCHAR NOT NULL,
    error VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.webhook_files (
    path VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    bytes_read BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    ingested_at TIMESTAMPTZ NOT NULL,
    size BIGINT,
    file_id VARCHAR,
    changed BIGINT,
    is_unfinished BOOLEAN
);
CREATE TABLE IF NOT EXISTS wh.ops.hints (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR NOT NULL,
    hinted_at TIMESTAMPTZ NOT NULL,
    whole BOOLEAN
);
CREATE TABLE IF NOT EXISTS wh.ops.outdated (
    consumer VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    key VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.mart_days (
    conversation_id VARCHAR NOT NULL,
    date DATE NOT NULL,
    contact_id VARCHAR,
    fingerprint BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.message_categories (
    message_id VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    template VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.rate_card (
    line BIGINT NOT NULL,
    market VARCHAR NOT NULL,
    country VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    message_type VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    effective_from TIMESTAMPTZ NOT NULL,
    currency VARCHAR NOT NULL,
    rate DECIMAL(18,6) NOT NULL,
    from_volume BIGINT NOT NULL,
    free_per_month BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.templates (
    template VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    pattern VARCHAR NOT NULL,
    head VARCHAR NOT NULL,
    weight BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.invoice_files (
    file VARCHAR NOT NULL,
    lines BIGINT NOT NULL,
    error VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.invoice_lines (
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    month DATE NOT NULL,
    channel VARCHAR NOT NULL,
    market VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    quantity BIGINT,
    amount DECIMAL(18,6) NOT NULL,
    currency VARCHAR NOT NULL,
    more JSON
);
CREATE TABLE IF NOT EXISTS wh.ops.price_boundaries (
    kind VARCHAR NOT NULL,
    market VARCHAR NOT NULL,
    country VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    channel_id VARCHAR NOT NULL,
    month DATE NOT NULL,
    threshold BIGINT NOT NULL,
    charged_at TIMESTAMPTZ NOT NULL,
    message_key VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.home (
    key VARCHAR NOT NULL,
    value VARCHAR
);
