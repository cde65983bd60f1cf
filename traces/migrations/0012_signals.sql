-- What end users did, what their silence says, and what sessions came to. Layout: docs/data-model.md.

-- One row per signal: the caller's id, or a digest of what it says, is its key, so the same thumb toggled is one row.
CREATE TABLE traces_signal (
    project_id integer NOT NULL,
    signal_key uuid NOT NULL,             -- of client_id, else of target, name, author and time (traces.signals.keys)
    signal_id bigint NOT NULL,            -- ours; grows with time, never changes
    client_id text,
    target_kind smallint NOT NULL,        -- traces.signals.kinds.Target: 1 trace, 2 span, 3 session, 4 request
    trace_id uuid,                        -- as told, or the trace its request was found to be
    span_id bigint,
    session_id text,                      -- as told
    request_id text,
    name text NOT NULL,                   -- as told
    kind smallint NOT NULL,               -- traces.signals.kinds.Kind, by the project's names
    value_number double precision,        -- exactly one of the four, none where only the name says it
    value_bool boolean,
    value_label text,
    value_text text,
    comment text,
    source smallint NOT NULL,             -- traces.signals.kinds.Source
    author text,                          -- the end user as told
    happened_at timestamptz NOT NULL,
    is_dated boolean NOT NULL,            -- whether the caller told when it happened
    received_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revision integer NOT NULL DEFAULT 1,  -- how often it was told with something else in it
    key_id bigint,
    unit_key uuid,                        -- whose behaviour it belongs to; NULL: its target is not here (yet)
    bound_at timestamptz,
    feature text,                         -- of its target, once bound
    metadata jsonb,
    PRIMARY KEY (project_id, signal_key)
);
CREATE INDEX traces_signal_newest ON traces_signal (project_id, happened_at DESC, signal_id DESC);
CREATE INDEX traces_signal_kind ON traces_signal (project_id, kind, happened_at DESC, signal_id DESC);
CREATE INDEX traces_signal_trace ON traces_signal (project_id, trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX traces_signal_session ON traces_signal (project_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX traces_signal_unit ON traces_signal (project_id, unit_key) WHERE unit_key IS NOT NULL;
CREATE INDEX traces_signal_unbound ON traces_signal (project_id, received_at) WHERE bound_at IS NULL;
CREATE INDEX traces_signal_request ON traces_signal (project_id, request_id) WHERE request_id IS NOT NULL AND bound_at IS NULL;
CREATE INDEX traces_signal_author ON traces_signal (project_id, author) WHERE author IS NOT NULL;

-- One row per unit whose behaviour has to be looked at again; `due_at` lies ahead where its session is still open.
CREATE TABLE traces_behaviour_due (
    project_id integer NOT NULL,
    unit_key uuid NOT NULL,
    session_id text,                      -- NULL: the unit is a trace without a session
    due_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, unit_key)
);
CREATE INDEX traces_behaviour_due_next ON traces_behaviour_due (due_at);

-- One row per unit: a session, or a trace that names none. What its user did, by one version of the definitions.
CREATE TABLE traces_behaviour (
    project_id integer NOT NULL,
    unit_key uuid NOT NULL,               -- traces_session.session_key, or the trace's id
    session_id text,
    definition integer NOT NULL,          -- version of traces.SignalDefinition (0: the shipped one)
    feature text NOT NULL DEFAULT '',     -- of its first trace that names one; '' none
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,         -- last turn's end or last signal, whichever is later
    closes_at timestamptz NOT NULL,       -- when it counts as over, if nothing comes
    is_closed boolean NOT NULL,
    last_trace_id uuid,                   -- of the last answer
    turns integer NOT NULL,
    answers integer NOT NULL,             -- turns that were answered
    facts integer NOT NULL,               -- traces.behaviour.types.Fact bits: all that was seen
    stratum smallint NOT NULL,            -- traces.behaviour.types.Stratum, the first that matches
    vote smallint NOT NULL DEFAULT 0,     -- the last one: 1 up, -1 down, 0 none
    votes integer NOT NULL DEFAULT 0,     -- how many people's votes it has
    rating double precision,
    length_seconds double precision,      -- from the first turn's start to the last turn's end
    cost_pico numeric(38, 0) NOT NULL DEFAULT 0,
    is_cost_known boolean NOT NULL DEFAULT false, -- whether every counted call had a price
    user_id text,
    outcomes jsonb,                       -- outcome id -> [revision, x, y] as booked in traces_outcome_hour
    computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (project_id, unit_key)
);
CREATE INDEX traces_behaviour_first ON traces_behaviour (project_id, first_at DESC, unit_key DESC);
CREATE INDEX traces_behaviour_stratum ON traces_behaviour (project_id, stratum, first_at DESC, unit_key DESC);
CREATE INDEX traces_behaviour_version ON traces_behaviour (project_id, definition, unit_key);
CREATE INDEX traces_behaviour_last ON traces_behaviour (project_id, last_trace_id) WHERE last_trace_id IS NOT NULL;

-- Units counted by the hour of their first turn: what every page and monitor reads. Differences are booked in the
-- transaction that changes the row above, so the two always add up.
CREATE TABLE traces_behaviour_hour (
    project_id integer NOT NULL,
    hour timestamptz NOT NULL,
    feature text NOT NULL,
    stratum smallint NOT NULL,
    facts integer NOT NULL,
    vote smallint NOT NULL,
    is_closed boolean NOT NULL,
    n bigint NOT NULL DEFAULT 0,
    answers bigint NOT NULL DEFAULT 0,
    answers_squared bigint NOT NULL DEFAULT 0,
    seconds numeric NOT NULL DEFAULT 0,
    seconds_squared numeric NOT NULL DEFAULT 0,
    seconds_n bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, hour, feature, stratum, facts, vote, is_closed)
);

-- Sums of one outcome over closed units by the hour of their first turn: the ratio sum(y) / sum(x) and its interval.
CREATE TABLE traces_outcome_hour (
    project_id integer NOT NULL,
    outcome_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    feature text NOT NULL,
    n bigint NOT NULL DEFAULT 0,          -- units it speaks about
    unknown bigint NOT NULL DEFAULT 0,    -- units left out: their cost or value is unknown
    x numeric NOT NULL DEFAULT 0,
    y numeric NOT NULL DEFAULT 0,
    xx numeric NOT NULL DEFAULT 0,
    xy numeric NOT NULL DEFAULT 0,
    yy numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, outcome_id, hour, feature)
);
