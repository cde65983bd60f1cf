-- The tables of traces. Keys start with the project; span-level keys contain the trace, so that span, payload and trace
-- can be distributed by trace_id. span, payload, span_log and metric_point are range-partitioned by time; the partition of a day is made
-- by traces.write.partitions, the guarded ones here.

-- One row per distinct (resource, scope) of a project: stored once, referred to by span.origin_id.
CREATE TABLE traces_origin (
    project_id integer NOT NULL,
    origin_id bigint NOT NULL,
    resource jsonb NOT NULL,
    scope_name text NOT NULL,
    scope_version text NOT NULL,
    scope_attributes jsonb NOT NULL,
    vocabulary text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, origin_id)
);

-- One row per (project, trace, span). Money is whole pico-dollars; NULL is unknown.
CREATE TABLE traces_span (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    started_at timestamptz NOT NULL,
    batch_id bigint NOT NULL,
    origin_id bigint NOT NULL,
    kind smallint NOT NULL,
    otel_kind smallint NOT NULL,
    status smallint NOT NULL,
    flags integer NOT NULL,
    counted boolean NOT NULL,
    name text NOT NULL,
    parent_span_id bigint,
    duration_ns bigint,
    payload_id bigint,
    status_message text,
    error_type text,
    service text,
    environment text,
    release text,
    feature text,
    user_id text,
    session_id text,
    provider text,
    model_requested text,
    model_answered text,
    model_priced text,
    operation text,
    response_id text,
    service_tier text,
    streamed boolean,
    ttft_ns bigint,
    finish_reason text,
    prompt_name text,
    prompt_version text,
    agent_name text,
    workflow_name text,
    tool_name text,
    tags text[],
    input_fresh bigint,
    input_cache_read bigint,
    input_cache_write_5m bigint,
    input_cache_write_1h bigint,
    input_audio bigint,
    output_text bigint,
    output_reasoning bigint,
    output_audio bigint,
    cost_status smallint,
    cost_pico bigint,
    cost_parts bigint[],
    price_id bigint,
    cost_reported_pico bigint,
    duplicate_of_trace uuid,
    duplicate_of_span bigint,
    count_reason smallint,
    metadata jsonb,
    attributes jsonb,
    PRIMARY KEY (project_id, trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);

-- Finds the other spans of one provider call, across traces (double counting).
CREATE INDEX traces_span_response ON traces_span (project_id, response_id, started_at) WHERE response_id IS NOT NULL;

-- Bodies: messages, documents, raw attributes, events. One row holds the bodies of a trace's spans in one batch (cut at
-- a size), as zstd of a JSON object from span id to body, so that a prompt repeated along a trace is stored once.
CREATE TABLE traces_payload (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    payload_id bigint NOT NULL,
    started_at timestamptz NOT NULL,
    raw_bytes integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (project_id, trace_id, payload_id, started_at)
) PARTITION BY RANGE (started_at);

-- One row per trace: what the list shows and sums. Kept in the transaction that stores its spans.
CREATE TABLE traces_trace (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    started_at timestamptz NOT NULL,      -- earliest stored start
    last_started_at timestamptz NOT NULL, -- latest stored start: the time bound of every span look-up
    ended_at timestamptz,                 -- latest known end
    updated_at timestamptz NOT NULL,
    root_span_id bigint,
    root_status smallint,
    root_duration_ns bigint,
    name text NOT NULL,
    span_count integer NOT NULL,
    generation_count integer NOT NULL,
    error_count integer NOT NULL,
    usage_count integer NOT NULL,         -- spans that carry usage, counted or not
    priced_count integer NOT NULL,        -- counted spans by cost status
    unpriced_count integer NOT NULL,
    unknown_usage_count integer NOT NULL,
    partial_count integer NOT NULL,
    upper_bound_count integer NOT NULL,
    duplicate_count integer NOT NULL,
    flags integer NOT NULL,
    input_fresh bigint NOT NULL,
    input_cache_read bigint NOT NULL,
    input_cache_write_5m bigint NOT NULL,
    input_cache_write_1h bigint NOT NULL,
    input_audio bigint NOT NULL,
    output_text bigint NOT NULL,
    output_reasoning bigint NOT NULL,
    output_audio bigint NOT NULL,
    cost_pico numeric(30, 0) NOT NULL,
    cost_reported_pico numeric(30, 0),
    ttft_ns bigint,
    models text[] NOT NULL,
    service text,
    environment text,
    release text,
    feature text,
    user_id text,
    session_id text,
    prompt_name text,
    prompt_version text,
    finish_reason text,
    error_type text,
    tags text[] NOT NULL,
    preview_in text,
    preview_out text,
    foreign_trace_id text,
    ranks text NOT NULL,                  -- which span each inherited value came from, so that order never matters
    PRIMARY KEY (project_id, trace_id)
);
CREATE INDEX traces_trace_started ON traces_trace (project_id, started_at DESC, trace_id DESC);
CREATE INDEX traces_trace_user ON traces_trace (project_id, user_id, started_at DESC) WHERE user_id IS NOT NULL;
CREATE INDEX traces_trace_session ON traces_trace (project_id, session_id, started_at DESC) WHERE session_id IS NOT NULL;
CREATE INDEX traces_trace_feature ON traces_trace (project_id, feature, started_at DESC) WHERE feature IS NOT NULL;
CREATE INDEX traces_trace_error ON traces_trace (project_id, started_at DESC) WHERE error_count > 0;
CREATE INDEX traces_trace_unpriced ON traces_trace (project_id, started_at DESC) WHERE unpriced_count > 0;
CREATE INDEX traces_trace_cost ON traces_trace (project_id, cost_pico DESC, trace_id DESC);
CREATE INDEX traces_trace_foreign ON traces_trace (project_id, foreign_trace_id) WHERE foreign_trace_id IS NOT NULL;

-- GenAI log events, joined to their spans when a page or a judge reads them; held whichever arrives first.
CREATE TABLE traces_span_log (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    digest bigint NOT NULL,
    happened_at timestamptz NOT NULL,
    ordinal integer NOT NULL,
    event_name text NOT NULL,
    batch_id bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (project_id, trace_id, span_id, digest, happened_at)
) PARTITION BY RANGE (happened_at);

-- Host, GPU and gen_ai metric series of an allow-list, with bounded cardinality.
CREATE TABLE traces_metric_series (
    project_id integer NOT NULL,
    series_id bigint NOT NULL,
    name text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    attributes jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, series_id)
);
CREATE TABLE traces_metric_point (
    project_id integer NOT NULL,
    series_id bigint NOT NULL,
    at timestamptz NOT NULL,
    value double precision,
    count bigint,
    total double precision,
    low double precision,
    high double precision,
    buckets jsonb,
    PRIMARY KEY (project_id, series_id, at)
) PARTITION BY RANGE (at);

-- One row per accepted request: what came, what became of it. received = stored + duplicate + rejected + dropped.
CREATE TABLE traces_ingest_batch (
    batch_id bigint NOT NULL,
    project_id integer NOT NULL,
    key_id bigint NOT NULL,
    source text NOT NULL,                 -- traces, logs, metrics, native
    received_at timestamptz NOT NULL,     -- first byte of the request
    committed_at timestamptz NOT NULL,    -- clock just before COMMIT
    body_bytes bigint NOT NULL,
    received integer NOT NULL,
    stored integer NOT NULL,
    duplicate integer NOT NULL,
    rejected integer NOT NULL,
    dropped integer NOT NULL,
    reasons jsonb NOT NULL,               -- {"rejected": {code: [n, example]}, "dropped": {code: n}}
    first_started_at timestamptz,
    last_started_at timestamptz,
    accounted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (project_id, batch_id)
);
CREATE INDEX traces_ingest_batch_open ON traces_ingest_batch (project_id, batch_id) WHERE NOT accounted;

-- Hourly sums of ingest_batch, kept by a consumer that claims rows; pages add the rows not yet claimed.
CREATE TABLE traces_ingest_hour (
    project_id integer NOT NULL,
    hour timestamptz NOT NULL,
    key_id bigint NOT NULL,
    source text NOT NULL,
    requests bigint NOT NULL,
    body_bytes bigint NOT NULL,
    received bigint NOT NULL,
    stored bigint NOT NULL,
    duplicate bigint NOT NULL,
    rejected bigint NOT NULL,
    dropped bigint NOT NULL,
    lag_ms_sum double precision NOT NULL,
    lag_ms_max double precision NOT NULL,
    PRIMARY KEY (project_id, hour, key_id, source)
);
CREATE TABLE traces_ingest_reason_hour (
    project_id integer NOT NULL,
    hour timestamptz NOT NULL,
    key_id bigint NOT NULL,
    source text NOT NULL,
    outcome text NOT NULL,                -- rejected, dropped
    reason text NOT NULL,
    n bigint NOT NULL,
    last_example text NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, hour, key_id, source, outcome, reason)
);
-- Requests refused whole (401 has no project and is counted under project 0).
CREATE TABLE traces_ingest_refusal_hour (
    project_id integer NOT NULL,
    hour timestamptz NOT NULL,
    source text NOT NULL,
    http_status smallint NOT NULL,
    reason text NOT NULL,
    n bigint NOT NULL,
    last_example text NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, hour, source, http_status, reason)
);

-- Guarded partitions: starts outside of what has a day's partition. A day that comes takes its rows out of here.
CREATE TABLE traces_span_guarded PARTITION OF traces_span DEFAULT;
CREATE TABLE traces_payload_guarded PARTITION OF traces_payload DEFAULT;
CREATE TABLE traces_span_log_guarded PARTITION OF traces_span_log DEFAULT;
CREATE TABLE traces_metric_point_guarded PARTITION OF traces_metric_point DEFAULT;
