-- One row per sampled trace: what drift compares of it besides vectors. No text is kept: examples are read from traces.
CREATE TABLE alerts_sample (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    pi double precision NOT NULL,         -- the chance it had to be taken
    draw double precision NOT NULL,       -- its place in the salted order of its project, 0..1; taken where below pi
    feature text,                         -- dimensions as the trace has them; NULL: not told
    service text,
    environment text,
    release text,
    prompt_name text,
    prompt_version text,
    provider text,
    model text,
    finish_reason text,
    is_error boolean NOT NULL,
    input_chars integer,                  -- NULL: no text was sent
    output_chars integer,
    input_tokens bigint,                  -- NULL: no usage was told
    output_tokens bigint,
    input_language text,                  -- NULL: not known
    output_language text,
    tools text[] NOT NULL,                -- names of tools it called, each once, sorted
    fields jsonb NOT NULL,                -- values of the metadata keys that the project compares
    taken_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, trace_id)
);
CREATE INDEX alerts_sample_started ON alerts_sample (project_id, started_at, trace_id);

-- One row per embedded side of a sampled trace and encoder.
CREATE TABLE alerts_vector (
    project_id integer NOT NULL,
    encoder text NOT NULL,                -- its key: kind, name, version, dimensions
    side smallint NOT NULL,               -- 1 input, 2 output
    trace_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    feature text,
    draw double precision NOT NULL,
    data bytea NOT NULL,                  -- float16, little-endian, of length 1 as a vector
    PRIMARY KEY (project_id, encoder, side, trace_id)
);
CREATE INDEX alerts_vector_started ON alerts_vector (project_id, encoder, side, started_at, trace_id);

-- One row per sampled trace that waits to be embedded; leased by whoever is at it.
CREATE TABLE alerts_drift_due (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    pi double precision NOT NULL,
    draw double precision NOT NULL,
    due_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    lease_by text NOT NULL DEFAULT '',
    lease_until timestamptz,
    reason text NOT NULL DEFAULT '',      -- why it waits
    PRIMARY KEY (project_id, trace_id)
);
CREATE INDEX alerts_drift_due_at ON alerts_drift_due (project_id, due_at);

-- The share of traces that is sampled of an hour, fixed before its first draw, and what could not be embedded of it.
CREATE TABLE alerts_drift_hour (
    project_id integer NOT NULL,
    hour timestamptz NOT NULL,            -- of the traces' start
    share double precision NOT NULL,
    taken bigint NOT NULL DEFAULT 0,
    left_out jsonb NOT NULL DEFAULT '{}', -- reason -> traces that were sampled and have no vector
    PRIMARY KEY (project_id, hour)
);
