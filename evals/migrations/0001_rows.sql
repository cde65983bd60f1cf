-- Rows of every trace, judgement and score.

-- One row per changed trace that is looked at once it has been quiet; only in projects with a live judge or queue.
CREATE TABLE evals_candidate (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, trace_id)
);
CREATE INDEX evals_candidate_due ON evals_candidate (due_at);

-- One row per (trace, plan) that the plan covers, drawn or not: why a trace was or was not judged.
CREATE TABLE evals_decision (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    plan_id bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,      -- of the trace
    draw double precision NOT NULL,       -- the salted hash in [0, 1)
    pi double precision NOT NULL,         -- inclusion probability as it holds now; a second phase raises it
    pi_first double precision NOT NULL,   -- of the first draw
    phase smallint NOT NULL DEFAULT 1,    -- 1: taken or not at the first draw, 2: a late signal drew again
    rule text NOT NULL,                   -- the clause of the plan that gave pi
    stratum text NOT NULL DEFAULT '',
    is_taken boolean NOT NULL,
    PRIMARY KEY (project_id, trace_id, plan_id)
);
CREATE INDEX evals_decision_age ON evals_decision (project_id, started_at);

-- How many traces a plan covered and took, by the hour their trace started. Written with the decisions.
CREATE TABLE evals_decision_hour (
    project_id integer NOT NULL,
    plan_id bigint NOT NULL,
    judge_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    feature text NOT NULL,                -- '' where unknown, here and below
    model text NOT NULL,
    prompt_version text NOT NULL,
    stratum text NOT NULL,
    covered bigint NOT NULL,
    taken bigint NOT NULL,
    uncovered bigint NOT NULL,            -- fits the judge's filter, but pi was 0
    PRIMARY KEY (project_id, plan_id, hour, feature, model, prompt_version, stratum)
);
CREATE INDEX evals_decision_hour_judge ON evals_decision_hour (project_id, judge_id, hour);

-- One row per target a judge version is to score; the queue of judging. pending -> running -> scored | failed | skipped.
CREATE TABLE evals_judgement (
    project_id integer NOT NULL,
    judgement_id bigint NOT NULL,
    judge_id bigint NOT NULL,
    judge_version_id bigint NOT NULL,
    target_kind smallint NOT NULL,        -- 1 trace, 2 span, 4 experiment result
    target_id uuid NOT NULL,              -- trace id, or the result's
    span_id bigint NOT NULL DEFAULT 0,
    repeat smallint NOT NULL DEFAULT 0,   -- 0 the judgement; 1.. repeats and probes, which are no scores of the target
    purpose smallint NOT NULL,            -- 1 live, 2 backfill, 3 calibration, 4 experiment, 5 bias probe
    plan_id bigint,
    backfill_id bigint,
    pi double precision,                  -- NULL: not drawn by a design, never weighted
    state text NOT NULL DEFAULT 'pending',
    reason text NOT NULL DEFAULT '',      -- of failed and skipped; of pending: why it waits
    attempts smallint NOT NULL DEFAULT 0, -- calls that were answered or lost
    next_at timestamptz NOT NULL,
    lease_by text NOT NULL DEFAULT '',
    lease_until timestamptz,
    made_at timestamptz NOT NULL,
    done_at timestamptz,
    started_at timestamptz NOT NULL,      -- of the target
    feature text NOT NULL DEFAULT '',
    model text NOT NULL DEFAULT '',
    prompt_version text NOT NULL DEFAULT '',
    service text NOT NULL DEFAULT '',
    environment text NOT NULL DEFAULT '',
    release text NOT NULL DEFAULT '',
    session_id text NOT NULL DEFAULT '',
    stratum text NOT NULL DEFAULT '',
    is_flagged boolean,
    flags text[] NOT NULL DEFAULT '{}',   -- injection_attempt, evidence_not_found, cut
    answer bytea,                         -- zstd of the judge's last answer and what was made of it (JSON)
    cost_pico bigint,                     -- of all its calls; NULL unknown
    input_tokens bigint,
    output_tokens bigint,
    duration_ms integer,
    call_trace_id uuid,                   -- the judge's own call, stored as a trace
    PRIMARY KEY (project_id, judgement_id)
);
CREATE UNIQUE INDEX evals_judgement_once
    ON evals_judgement (judge_version_id, target_id, span_id, repeat);
CREATE INDEX evals_judgement_open ON evals_judgement (next_at) WHERE state IN ('pending', 'running');
CREATE INDEX evals_judgement_target ON evals_judgement (project_id, target_id);
CREATE INDEX evals_judgement_newest ON evals_judgement (project_id, judge_id, judgement_id DESC);
CREATE INDEX evals_judgement_flagged ON evals_judgement (project_id, judge_id, judgement_id) WHERE is_flagged;

-- How many judgements of a version are in which state, by the hour they were made: sum over states = all made.
-- Moves with each change of state, in its transaction.
CREATE TABLE evals_judgement_hour (
    project_id integer NOT NULL,
    judge_id bigint NOT NULL,
    judge_version_id bigint NOT NULL,
    purpose smallint NOT NULL,
    hour timestamptz NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    n bigint NOT NULL,
    calls bigint NOT NULL,
    cost_pico bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (project_id, judge_version_id, purpose, hour, state, reason)
);

-- One row per score of anybody: judges, people, the API. May come before its target.
CREATE TABLE evals_score (
    project_id integer NOT NULL,
    score_id bigint NOT NULL,
    source smallint NOT NULL,             -- 1 judge, 2 person, 3 API or SDK
    target_kind smallint NOT NULL,        -- 1 trace, 2 span, 3 session, 4 experiment result
    trace_id uuid,                        -- or the result's id
    span_id bigint NOT NULL DEFAULT 0,
    session_id text,
    started_at timestamptz NOT NULL,      -- of the target where known, else when the score was made
    name text NOT NULL,                   -- the criterion's key
    data_type smallint NOT NULL,          -- 1 numeric, 2 boolean, 3 label, 4 text
    number double precision,              -- numeric; boolean as 0 and 1; a label of an ordered scale as its place
    label text,
    comment text,                         -- reason or free text
    evidence text[],
    judge_id bigint,
    judge_version_id bigint,
    rubric_version_id bigint,
    judgement_id bigint,
    review_id bigint,
    author text NOT NULL DEFAULT '',
    author_id integer,
    key_id bigint,
    external_id text,                     -- the caller's id: sent again it replaces
    pi double precision,
    metadata jsonb,
    made_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, score_id)
);
CREATE UNIQUE INDEX evals_score_external ON evals_score (project_id, external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX evals_score_judgement ON evals_score (judgement_id, name) WHERE judgement_id IS NOT NULL;
CREATE UNIQUE INDEX evals_score_review ON evals_score (review_id, name) WHERE review_id IS NOT NULL;
CREATE INDEX evals_score_trace ON evals_score (project_id, trace_id);
CREATE INDEX evals_score_session ON evals_score (project_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX evals_score_name ON evals_score (project_id, name, started_at);

-- Weighted sums of judges' scores by the hour of their target: estimates of any window are sums of these.
-- w = 1/pi; name '_flag' is the flag (0, 1). Only judgements with a pi; changed with each score, in its transaction.
CREATE TABLE evals_score_hour (
    project_id integer NOT NULL,
    judge_id bigint NOT NULL,
    judge_version_id bigint NOT NULL,
    plan_id bigint NOT NULL,              -- 0: a backfill
    name text NOT NULL,
    hour timestamptz NOT NULL,
    feature text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    n bigint NOT NULL,
    sw double precision NOT NULL,         -- sum of w
    sw2 double precision NOT NULL,        -- sum of w squared
    swy double precision NOT NULL,
    swy2 double precision NOT NULL,       -- sum of w y squared
    sw2y double precision NOT NULL,       -- sum of w squared y
    sw2y2 double precision NOT NULL,
    v0 double precision NOT NULL,         -- sums of (1-pi)/pi^2 times 1, y, y squared
    v1 double precision NOT NULL,
    v2 double precision NOT NULL,
    levels jsonb NOT NULL DEFAULT '{}',   -- level of the scale -> [n, sum of w]
    PRIMARY KEY (project_id, judge_version_id, plan_id, name, hour, feature, model, prompt_version)
);
CREATE INDEX evals_score_hour_judge ON evals_score_hour (project_id, judge_id, name, hour);

-- Whether a retrieved document was of use, by a judge, a person or the sender; rank counts from 1.
CREATE TABLE evals_document_score (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    rank smallint NOT NULL,
    source smallint NOT NULL,             -- as in evals_score
    judge_version_id bigint NOT NULL DEFAULT 0,
    document_id text NOT NULL DEFAULT '',
    relevance double precision NOT NULL,  -- 0..1
    retrieval_score double precision,     -- what the retriever gave it
    pi double precision,
    feature text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, trace_id, span_id, rank, source, judge_version_id)
);
CREATE INDEX evals_document_score_age ON evals_document_score (project_id, feature, started_at);
