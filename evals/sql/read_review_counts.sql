-- One row: how many items of a queue are in a state, how many of them are on a screen now, and the oldest of them.
-- Takes queue_ids, now. Stands on review_item_next.
SELECT
    queue_id,
    state,
    count(*),
    count(*) FILTER (WHERE leased_until > %(now)s),
    min(created_at)
FROM evals_reviewitem
WHERE queue_id = ANY(%(queue_ids)s)
GROUP BY queue_id, state
