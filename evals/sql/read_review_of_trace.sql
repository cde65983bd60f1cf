-- One row: an open queue of a project, or any that has the trace; with its item where it has it.
-- Takes project_id, trace_id. Stands on review_item_trace and queue_slug.
SELECT
    i.id,
    q.slug,
    q.name,
    i.state,
    i.reviews_count,
    i.wanted
FROM evals_reviewqueue AS q
LEFT JOIN evals_reviewitem AS i
    ON i.queue_id = q.id
    AND i.project_id = %(project_id)s
    AND i.trace_id = %(trace_id)s
WHERE q.project_id = %(project_id)s AND (q.closed_at IS NULL OR i.id IS NOT NULL)
ORDER BY q.name, i.id
LIMIT 100
