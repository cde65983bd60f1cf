-- What changed and who has not yet taken it in: one row per consumer and commit, written in the transaction that changed
-- the traces, deleted in the transaction that takes them in. Nothing is skipped (a row that commits late is simply found
-- later) and nothing is taken twice.
CREATE TABLE traces_feed (
    consumer smallint NOT NULL,           -- traces.write.feed.Consumer
    project_id integer NOT NULL,
    feed_id bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    batch_id bigint,                      -- the request that stored spans; NULL where stored ones changed
    trace_ids uuid[] NOT NULL,
    PRIMARY KEY (consumer, project_id, feed_id)
);
