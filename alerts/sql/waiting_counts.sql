-- One row: how many incidents of a project go on, and how many answers wait in its open review queues, each counted up
-- to `most`. Takes project_id, going (states of an incident) and most.
-- Stands on incident_going and, a queue each, on review_item_next.
SELECT
    (
        SELECT count(*) FROM (
            SELECT 1 FROM alerts_incident
            WHERE project_id = %(project_id)s AND state = ANY(%(going)s)
            LIMIT %(most)s
        ) AS going
    ),
    (
        SELECT count(*) FROM (
            SELECT 1
            FROM evals_reviewqueue AS q
            JOIN evals_reviewitem AS i ON i.queue_id = q.id AND i.state IN ('open', 'disputed')
            WHERE q.project_id = %(project_id)s AND q.closed_at IS NULL
            LIMIT %(most)s
        ) AS waiting
    )
