-- One row: whether anything is open that a task of this room would take: batches not folded, changed traces in the feed,
-- sessions to be summed. Asked every two seconds: stands on traces_ingest_batch_open, the key of traces_feed and
-- traces_session_stale, one step each.
SELECT
    EXISTS (SELECT 1 FROM traces_ingest_batch WHERE NOT accounted)
    OR EXISTS (SELECT 1 FROM traces_feed WHERE consumer > 0)
    OR EXISTS (SELECT 1 FROM traces_session WHERE stale_since IS NOT NULL)
