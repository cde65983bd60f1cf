-- Roll-ups: what pages sum and draw, so that they never read spans. Kept by traces.write.rollups from the feed of changed
-- traces; docs/data-model.md ("Roll-ups") says what is booked where. A NULL sum is one to which nothing was booked.

-- One row per combination of dimensions. Family 1 describes whole traces, 2 single spans. scope_id is a digest of the
-- dimensions, negative for family 1. NULL is unknown; what was folded away for want of room reads "(other)", and
-- `folded` says how much: 0 nothing, 1 stage, release and prompt version, 2 all but kind and model, 3 all but kind.
CREATE TABLE traces_scope (
    project_id integer NOT NULL,
    scope_id bigint NOT NULL,
    family smallint NOT NULL,
    kind smallint,
    stage text,
    feature text,
    provider text,
    model text,
    service text,
    environment text,
    release text,
    prompt_name text,
    prompt_version text,
    folded smallint NOT NULL DEFAULT 0,
    used_on date NOT NULL,                -- the last day on which something was booked: the cap counts the used ones
    PRIMARY KEY (project_id, scope_id)
);

-- One row per bucket of time and scope. grain: 1 minute, 60 hour, 1440 day; hours and days are those of the project's
-- time zone, minutes nest in hours, hours in days. Sums are exact; tokens are numeric because hostile counts over a day
-- pass 64 bits. Sketches are records (index u16, count i32), little endian, merged by concatenation: telltale.stats.sketch.
CREATE TABLE traces_rollup (
    project_id integer NOT NULL,
    grain smallint NOT NULL,
    bucket timestamptz NOT NULL,          -- where it begins
    scope_id bigint NOT NULL,
    n bigint NOT NULL,                    -- traces (family 1) or spans (family 2)
    errors bigint,                        -- traces with a failed span; failed spans
    failed bigint,                        -- traces whose root failed; none for family 2
    streamed bigint,
    retries bigint,                       -- model calls repeated beside a failed one
    refusals bigint,
    priced_count bigint,                  -- counted spans by cost status
    unpriced_count bigint,
    unknown_usage_count bigint,
    partial_count bigint,
    upper_bound_count bigint,
    input_fresh numeric,                  -- tokens of counted spans
    input_cache_read numeric,
    input_cache_write_5m numeric,
    input_cache_write_1h numeric,
    input_audio numeric,
    output_text numeric,
    output_reasoning numeric,
    output_audio numeric,
    cost_pico numeric,                    -- known costs of counted spans
    cost_input_fresh numeric,             -- its parts; what is charged by the hour has none
    cost_input_cache_read numeric,
    cost_input_cache_write_5m numeric,
    cost_input_cache_write_1h numeric,
    cost_input_audio numeric,
    cost_output_text numeric,
    cost_output_reasoning numeric,
    cost_output_audio numeric,
    saved_pico numeric,                   -- cached tokens at the fresh rate, minus what they cost; may be negative
    duration_ns_sum numeric,
    duration_n bigint,
    token_duration numeric,               -- sum of duration_ns * output tokens over counted calls that tell both
    token_n numeric,                      -- their output tokens
    duration bytea NOT NULL DEFAULT '',   -- nanoseconds
    ttft bytea NOT NULL DEFAULT '',       -- nanoseconds
    tpot bytea NOT NULL DEFAULT '',       -- nanoseconds per output token
    length bytea NOT NULL DEFAULT '',     -- output tokens of a call
    PRIMARY KEY (project_id, grain, bucket, scope_id)
) WITH (fillfactor = 80, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05);
-- Inside the row and as it is: unpacking thousands of short sketches would cost more than reading them.
ALTER TABLE traces_rollup
    ALTER COLUMN duration SET STORAGE EXTERNAL, ALTER COLUMN ttft SET STORAGE EXTERNAL,
    ALTER COLUMN tpot SET STORAGE EXTERNAL, ALTER COLUMN length SET STORAGE EXTERNAL;

-- Why: one row per bucket, scope and error type (what 1) or finish reason (what 2).
CREATE TABLE traces_rollup_reason (
    project_id integer NOT NULL,
    grain smallint NOT NULL,
    bucket timestamptz NOT NULL,
    scope_id bigint NOT NULL,
    what smallint NOT NULL,
    reason text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (project_id, grain, bucket, scope_id, what, reason)
) WITH (fillfactor = 90);

-- One row per user and day (grain 1440) or month (43200) of the project's time zone, booked at the start of traces.
CREATE TABLE traces_user_period (
    project_id integer NOT NULL,
    grain integer NOT NULL,
    bucket timestamptz NOT NULL,
    user_id text NOT NULL,
    n bigint NOT NULL,                    -- traces
    errors bigint NOT NULL,               -- traces with a failed span
    input_tokens numeric NOT NULL,        -- all that went in, cached ones too
    cached_tokens numeric NOT NULL,       -- read from a cache
    output_tokens numeric NOT NULL,
    cost_pico numeric NOT NULL,
    unpriced_count bigint NOT NULL,       -- counted spans without a price
    PRIMARY KEY (project_id, grain, bucket, user_id)
) WITH (fillfactor = 80);
CREATE INDEX traces_user_period_cost ON traces_user_period (project_id, grain, bucket, cost_pico DESC);

-- What every stored trace added to the tables above, so that it can be taken away again exactly: traces.rollup.ledger.
CREATE TABLE traces_ledger (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    span_count integer NOT NULL,
    version smallint NOT NULL,            -- of the layout of `data`
    data bytea NOT NULL,
    due_at timestamptz,                   -- a huge trace that changed is taken again only then
    PRIMARY KEY (project_id, trace_id)
) WITH (fillfactor = 90);
CREATE INDEX traces_ledger_due ON traces_ledger (project_id, due_at) WHERE due_at IS NOT NULL;

-- How a project's roll-ups are kept. A project without a row, with another zone or older rules is rebuilt by itself.
CREATE TABLE traces_rollup_state (
    project_id integer PRIMARY KEY,
    time_zone text NOT NULL,              -- in which hours and days are cut
    rules smallint NOT NULL,              -- version of the booking rules
    generation bigint NOT NULL,           -- another one: what processes remember of the project's scopes is void
    rebuild_job bigint,                   -- the last job that took all stored traces again
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- Traces that could not be booked: set aside, so that they hold up nobody; tried again when they change.
CREATE TABLE traces_rollup_aside (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    tries integer NOT NULL DEFAULT 1,
    reason text NOT NULL,
    PRIMARY KEY (project_id, trace_id)
);
