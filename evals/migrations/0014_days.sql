-- Sums of whole days, made from the sums by the hour once a day is past: what a page over months reads.

-- Days of a project whose sums are made. The zone is the project's then; hours that begin in [starts_at, ends_at).
CREATE TABLE evals_day_built (
    project_id integer NOT NULL,
    day date NOT NULL,
    zone text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, day)
);

-- Hours long past whose sums changed since: their day is read from its hours until it is made again. Rows are only ever
-- added by who changes sums, so that a change that commits while a day is being made is never missed.
CREATE TABLE evals_day_stale (
    project_id integer NOT NULL,
    hour timestamptz NOT NULL,
    at bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (project_id, hour, at)
);

-- As evals_score_hour, by day: weighted as drawn, and (r_) with weights raised for what was drawn and got no score.
CREATE TABLE evals_score_day (
    project_id integer NOT NULL,
    day date NOT NULL,
    judge_id bigint NOT NULL,
    judge_version_id bigint NOT NULL,
    name text NOT NULL,
    feature text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    n bigint NOT NULL,
    sw double precision NOT NULL,
    sw2 double precision NOT NULL,
    swy double precision NOT NULL,
    swy2 double precision NOT NULL,
    sw2y double precision NOT NULL,
    sw2y2 double precision NOT NULL,
    v0 double precision NOT NULL,
    v1 double precision NOT NULL,
    v2 double precision NOT NULL,
    r_sw double precision NOT NULL,
    r_sw2 double precision NOT NULL,
    r_swy double precision NOT NULL,
    r_swy2 double precision NOT NULL,
    r_sw2y double precision NOT NULL,
    r_sw2y2 double precision NOT NULL,
    r_v0 double precision NOT NULL,
    r_v1 double precision NOT NULL,
    r_v2 double precision NOT NULL,
    PRIMARY KEY (project_id, day, judge_version_id, name, feature, model, prompt_version)
);

CREATE TABLE evals_decision_day (
    project_id integer NOT NULL,
    day date NOT NULL,
    judge_id bigint NOT NULL,
    feature text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    covered bigint NOT NULL,
    taken bigint NOT NULL,
    uncovered bigint NOT NULL,
    PRIMARY KEY (project_id, day, judge_id, feature, model, prompt_version)
);

CREATE INDEX evals_score_hour_when ON evals_score_hour (project_id, hour);
CREATE INDEX evals_decision_hour_when ON evals_decision_hour (project_id, hour);

-- Days are made half a day after their end: what changes an hour of the last six hours cannot be missed, unless
-- its transaction lasts for six hours.
CREATE FUNCTION evals_tell_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO evals_day_stale (project_id, hour)
    SELECT DISTINCT c.project_id, c.hour FROM changed AS c WHERE c.hour < now() - interval '6 hours';
    RETURN NULL;
END $$;

CREATE TRIGGER evals_score_hour_new AFTER INSERT ON evals_score_hour
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION evals_tell_stale();
CREATE TRIGGER evals_score_hour_changed AFTER UPDATE ON evals_score_hour
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION evals_tell_stale();
CREATE TRIGGER evals_decision_hour_new AFTER INSERT ON evals_decision_hour
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION evals_tell_stale();
CREATE TRIGGER evals_decision_hour_changed AFTER UPDATE ON evals_decision_hour
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION evals_tell_stale();
