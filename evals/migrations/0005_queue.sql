-- The queue of judging: what a kill or a bad answer cost, and the order of taking.
ALTER TABLE evals_judgement
    ADD COLUMN lost smallint NOT NULL DEFAULT 0,      -- calls whose worker died before it could tell
    ADD COLUMN failures smallint NOT NULL DEFAULT 0,  -- calls without an answer: time-outs, errors of the server
    ADD COLUMN unusable smallint NOT NULL DEFAULT 0,  -- answers that were no verdict
    ADD COLUMN reserved_pico bigint,                  -- while running: set aside for the call, on reserved_day
    ADD COLUMN reserved_day date;
DROP INDEX evals_judgement_open;
CREATE INDEX evals_judgement_due ON evals_judgement (judge_version_id, purpose, next_at) WHERE state = 'pending';
CREATE INDEX evals_judgement_running ON evals_judgement (lease_until) WHERE state = 'running';

-- When a connection may next be called, shared among workers (calls a minute). One row per connection.
CREATE TABLE evals_call_pace (
    connection_id bigint PRIMARY KEY,
    next_at timestamptz NOT NULL
);
