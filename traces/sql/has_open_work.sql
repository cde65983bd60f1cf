-- One row: whether anything is open that a task of this room would take: batches not folded, changed traces in the feed,
-- sessions to be summed, units whose behaviour is due (those that wait to be over are not). Asked every two seconds:
-- stands on traces_ingest_batch_open, the key of traces_feed, traces_session_stale and traces_behaviour_due_next, one
-- step each.
SELECT
    EXISTS (SELECT 1 FROM traces_ingest_batch WHERE NOT accounted)
    OR EXISTS (SELECT 1 FROM traces_feed WHERE consumer > 0)
    OR EXISTS (SELECT 1 FROM traces_session WHERE stale_since IS NOT NULL)
    OR EXISTS (SELECT 1 FROM traces_behaviour_due WHERE due_at <= now())
