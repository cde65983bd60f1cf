-- One row: how many traces the index does not know as they are now, at most of 1,000 entries of the feed, since when the
-- oldest of them waits, and whether there are more; whether all of the past is in; how many documents are cut at a limit
-- or set aside, no further than 1,000. Stands on the feed's primary key and traces_search_doc_cut.
SELECT
    coalesce(sum(cardinality(waiting.trace_ids)), 0)::bigint,
    min(waiting.changed_at),
    count(*) >= 1000,
    coalesce((SELECT is_backfilled FROM traces_search_state WHERE project_id = %(project_id)s), true),
    (
        SELECT count(*)
        FROM (SELECT 1 FROM traces_search_doc WHERE project_id = %(project_id)s AND flags <> 0 LIMIT 1000) AS flagged
    )
FROM (
    SELECT trace_ids, changed_at
    FROM traces_feed
    WHERE consumer = %(consumer)s
      AND project_id = %(project_id)s
    ORDER BY feed_id
    LIMIT 1000
) AS waiting
