-- Takes the oldest entries of the feed: at most %(entries)s of them, and no more than %(traces)s traces beyond the
-- first. They are gone when the caller's transaction commits.
WITH locked AS (
    SELECT feed_id, trace_ids FROM traces_feed
    WHERE consumer = %(consumer)s AND project_id = %(project_id)s
    ORDER BY feed_id
    LIMIT %(entries)s
    FOR UPDATE SKIP LOCKED
), mine AS (
    SELECT feed_id, sum(cardinality(trace_ids)) OVER (ORDER BY feed_id) - cardinality(trace_ids) AS ahead FROM locked
)
DELETE FROM traces_feed AS f
USING mine
WHERE f.consumer = %(consumer)s AND f.project_id = %(project_id)s AND f.feed_id = mine.feed_id
    AND mine.ahead < %(traces)s
RETURNING f.feed_id, f.trace_ids
