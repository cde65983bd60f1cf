-- One row: how many traces the index does not know as they are now, at most of 1,000 entries of the feed, since when the
-- oldest of them waits, and whether all of the past is in. Stands on the feed's primary key.
SELECT
    coalesce(sum(cardinality(waiting.trace_ids)), 0)::bigint,
    min(waiting.changed_at),
    count(*) >= 1000,
    coalesce((SELECT is_backfilled FROM traces_search_state WHERE project_id = %(project_id)s), true)
FROM (
    SELECT trace_ids, changed_at
    FROM traces_feed
    WHERE consumer = %(consumer)s
      AND project_id = %(project_id)s
    ORDER BY feed_id
    LIMIT 1000
) AS waiting
