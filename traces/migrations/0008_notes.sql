-- What people say about traces. Both go with their trace: retention and erasure take them along.

-- One row per comment. Plain text; an author is a person or a key, named as they were called then.
CREATE TABLE traces_comment (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    comment_id bigint NOT NULL,
    span_id bigint,
    author_id integer,                    -- accounts.User; NULL where a key wrote it
    key_id bigint,
    author text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz,
    PRIMARY KEY (project_id, trace_id, comment_id)
);

-- One row per label on a trace. Labels are people's; the tags of senders are in traces_trace.tags.
CREATE TABLE traces_label (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    label text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, trace_id, label)
);
-- Finds the traces of a label, and by steps the labels there are.
CREATE INDEX traces_label_label ON traces_label (project_id, label, trace_id);
