-- What waits to be sent on: one row per target and accepted request, deleted when all of its spans were answered for.
-- Spans are read from where they are stored when their turn comes.
CREATE TABLE traces_forward_queue (
    project_id integer NOT NULL,
    target_id bigint NOT NULL,            -- traces_forwardtarget
    entry_id bigint NOT NULL,             -- the feed's, which grows with time
    batch_id bigint NOT NULL,
    trace_ids uuid[] NOT NULL,
    spans integer NOT NULL,               -- how many are left
    first_started_at timestamptz NOT NULL,
    last_started_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,         -- when the spans were committed
    done_trace uuid,                      -- the last span that was answered for, where some were
    done_span bigint,
    PRIMARY KEY (target_id, entry_id)
);
