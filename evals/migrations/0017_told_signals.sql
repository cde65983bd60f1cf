-- Signals of end users about traces, until the review queues that wait for thumbs-down have seen them. Told in the
-- transaction that stores or binds the signal, and deleted in the one that queues its trace.
CREATE TABLE evals_told_signal (
    project_id integer NOT NULL,
    signal_key uuid NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, signal_key)
);
