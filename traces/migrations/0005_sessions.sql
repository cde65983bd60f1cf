-- One row per session: what its traces add up to, brought up to date from traces_trace by traces.write.sessions. A row
-- with 0 turns is a session whose traces are all gone; it holds no text and nobody's id, and is in no index of a list.
CREATE TABLE traces_session (
    project_id integer NOT NULL,
    session_id text NOT NULL,
    -- Ties in lists, and short cursors whatever the sender calls its sessions.
    session_key uuid NOT NULL GENERATED ALWAYS AS (md5(session_id)::uuid) STORED,
    refreshed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stale_since timestamptz,              -- set while a long session waits for its turn to be summed again
    removed_count integer NOT NULL DEFAULT 0, -- traces that retention took; in no sum
    first_started_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    last_started_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00', -- start of the last trace
    ended_at timestamptz,                 -- latest known end; NULL where no trace has ended
    turns integer NOT NULL DEFAULT 0,     -- traces
    error_turns integer NOT NULL DEFAULT 0, -- traces with a failed span
    failed_turns integer NOT NULL DEFAULT 0, -- traces whose root failed
    span_count bigint NOT NULL DEFAULT 0,
    generation_count bigint NOT NULL DEFAULT 0,
    error_count bigint NOT NULL DEFAULT 0,
    usage_count bigint NOT NULL DEFAULT 0,
    priced_count bigint NOT NULL DEFAULT 0,
    unpriced_count bigint NOT NULL DEFAULT 0,
    unknown_usage_count bigint NOT NULL DEFAULT 0,
    partial_count bigint NOT NULL DEFAULT 0,
    upper_bound_count bigint NOT NULL DEFAULT 0,
    duplicate_count bigint NOT NULL DEFAULT 0,
    input_fresh bigint NOT NULL DEFAULT 0,
    input_cache_read bigint NOT NULL DEFAULT 0,
    input_cache_write_5m bigint NOT NULL DEFAULT 0,
    input_cache_write_1h bigint NOT NULL DEFAULT 0,
    input_audio bigint NOT NULL DEFAULT 0,
    output_text bigint NOT NULL DEFAULT 0,
    output_reasoning bigint NOT NULL DEFAULT 0,
    output_audio bigint NOT NULL DEFAULT 0,
    cost_pico numeric(38, 0) NOT NULL DEFAULT 0,
    cost_reported_pico numeric(38, 0),
    worst_duration_ns bigint,             -- of the slowest trace
    worst_trace_id uuid,
    user_count integer NOT NULL DEFAULT 0, -- different users of its traces
    user_id text,                         -- of the first trace that names one; so service and environment
    service text,
    environment text,
    release text,                         -- of the last trace that names one
    features text[] NOT NULL DEFAULT '{}',
    models text[] NOT NULL DEFAULT '{}',
    preview_in text,                      -- the first question
    preview_out text,                     -- the last answer
    PRIMARY KEY (project_id, session_id)
);
CREATE INDEX traces_session_started ON traces_session (project_id, first_started_at DESC, session_key DESC)
    WHERE turns > 0;
CREATE INDEX traces_session_active ON traces_session (project_id, last_started_at DESC, session_key DESC)
    WHERE turns > 0;
CREATE INDEX traces_session_cost ON traces_session (project_id, cost_pico DESC, session_key DESC) WHERE turns > 0;
CREATE INDEX traces_session_turns ON traces_session (project_id, turns DESC, session_key DESC) WHERE turns > 0;
CREATE INDEX traces_session_length ON traces_session (
    project_id, (coalesce(extract(epoch FROM ended_at - first_started_at), -1)) DESC, session_key DESC
) WHERE turns > 0;
CREATE INDEX traces_session_user ON traces_session (project_id, user_id, first_started_at DESC, session_key DESC)
    WHERE turns > 0 AND user_id IS NOT NULL;
CREATE INDEX traces_session_error ON traces_session (project_id, first_started_at DESC, session_key DESC)
    WHERE turns > 0 AND error_turns > 0;
CREATE INDEX traces_session_unpriced ON traces_session (project_id, first_started_at DESC, session_key DESC)
    WHERE turns > 0 AND unpriced_count > 0;
CREATE INDEX traces_session_stale ON traces_session (project_id, stale_since) WHERE stale_since IS NOT NULL;
CREATE INDEX traces_session_gone ON traces_session (project_id, last_started_at) WHERE turns = 0;
