-- Tells of signals that an open review queue waits for: thumbs-down where it waits for user_feedback, else those of the
-- name that it waits for. Takes project_id and, beside each other, keys, names and is_down.
INSERT INTO evals_told_signal (project_id, signal_key, told_at)
SELECT %(project_id)s, s.signal_key, clock_timestamp()
FROM unnest(%(keys)s::uuid[], %(names)s::text[], %(is_down)s::boolean[]) AS s (signal_key, name, is_down)
WHERE EXISTS (
    SELECT 1
    FROM evals_reviewqueue AS q
    WHERE q.project_id = %(project_id)s AND q.kind = 'rules' AND q.closed_at IS NULL
        AND q.config -> 'rules' ? 'thumbs_down'
        AND (q.config ->> 'feedback' = s.name OR (q.config ->> 'feedback' = 'user_feedback' AND s.is_down))
)
ORDER BY s.signal_key
ON CONFLICT DO NOTHING
