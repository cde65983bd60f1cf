-- Holds the next item of a queue for one tab and gives its id: free, wanted, not reviewed by this person, not another's.
-- A row that somebody is taking at this moment is locked and passed over.
-- Takes queue_id, states, user_id and reviewer (the name, where there is no user), lease_key, now, until; assigned: only
-- what is assigned to them, else what is so to nobody who may review (able: who may); skipped: only what they passed on. Stands on review_item_next and review_once.
UPDATE evals_reviewitem AS held
SET leased_by_id = %(user_id)s, lease_key = %(lease_key)s, leased_until = %(until)s
WHERE held.id = (
    SELECT i.id
    FROM evals_reviewitem AS i
    WHERE i.queue_id = %(queue_id)s
        AND i.state = ANY(%(states)s)
        AND (i.leased_until IS NULL OR i.leased_until <= %(now)s)
        AND CASE
            WHEN %(assigned)s THEN i.assigned_to_id = %(user_id)s
            ELSE i.assigned_to_id IS NULL OR i.assigned_to_id <> ALL(%(able)s::bigint[])
        END
        AND NOT EXISTS (
            SELECT 1 FROM evals_review AS r
            WHERE r.item_id = i.id AND r.undone_at IS NULL AND NOT r.is_skip
                AND (r.reviewer_id = %(user_id)s OR r.reviewer_name = %(reviewer)s)
        )
        AND %(skipped)s = EXISTS (
            SELECT 1 FROM evals_review AS r
            WHERE r.item_id = i.id AND r.undone_at IS NULL AND r.is_skip
                AND (r.reviewer_id = %(user_id)s OR r.reviewer_name = %(reviewer)s)
        )
    ORDER BY i.state, i.priority DESC, i.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING held.id
