-- One row: of the waiting items of a queue, how many this person may take, how many others hold, and the rest.
-- Takes queue_id, user_id, able (who may review), states, now. Stands on review_item_next and review_once.
SELECT
    count(*) FILTER (WHERE is_theirs AND NOT is_held),
    count(*) FILTER (WHERE is_theirs AND is_held),
    count(*) FILTER (WHERE NOT is_theirs)
FROM (
    SELECT
        i.leased_until IS NOT NULL AND i.leased_until > %(now)s AS is_held,
        i.state = ANY(%(states)s)
            AND (
                i.assigned_to_id IS NULL
                OR i.assigned_to_id = %(user_id)s
                OR i.assigned_to_id <> ALL(%(able)s::bigint[])
            )
            AND NOT EXISTS (
                SELECT 1 FROM evals_review AS r
                WHERE r.item_id = i.id AND r.reviewer_id = %(user_id)s AND r.undone_at IS NULL AND NOT r.is_skip
            ) AS is_theirs
    FROM evals_reviewitem AS i
    WHERE i.queue_id = %(queue_id)s AND i.state IN ('open', 'disputed')
) AS waiting
