-- One row: a review that was given in a queue of the project, taken back or not.
-- Takes project_id, ids. Stands on the key of reviews.
SELECT id, trace_id, span_id, reviewer_name
FROM evals_review
WHERE project_id = %(project_id)s AND id = ANY(%(ids)s) AND external_id IS NULL
