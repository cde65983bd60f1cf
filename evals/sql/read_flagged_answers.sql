-- One row is an answer that a judge flagged and no person has judged: its newest flag, the lowest score with its reason,
-- and the open review item that it waits in (NULLs where it waits in none).
-- Takes project_id, since (of the answer), each (flags read a judge) and most (rows).
-- Stands on evals_judgement_flagged, evals_score_judgement, review_item_trace and the key of traces_trace.
WITH flagged AS (
    SELECT DISTINCT ON (f.target_id, f.span_id)
        f.judgement_id, f.judge_id, j.slug, j.name, f.target_id, f.span_id, f.done_at, f.started_at, f.feature, f.model,
        f.flags
    FROM evals_judge AS j
    CROSS JOIN LATERAL (
        SELECT * FROM evals_judgement AS o
        WHERE o.project_id = %(project_id)s AND o.judge_id = j.id AND o.is_flagged AND o.repeat = 0
            AND o.target_kind IN (1, 2) AND o.purpose IN (1, 2) AND o.started_at >= %(since)s
        ORDER BY o.judgement_id DESC
        LIMIT %(each)s
    ) AS f
    WHERE j.project_id = %(project_id)s
    ORDER BY f.target_id, f.span_id, f.judgement_id DESC
)
SELECT
    f.judgement_id, f.judge_id, f.slug, f.name, f.target_id, f.span_id, f.done_at, f.started_at, f.feature, f.model,
    f.flags, t.preview_in, s.name, s.comment, i.id, i.queue, i.assigned_to_id,
    coalesce(nullif(u.name, ''), u.email, '')
FROM flagged AS f
LEFT JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = f.target_id
LEFT JOIN LATERAL (
    SELECT name, comment FROM evals_score
    WHERE judgement_id = f.judgement_id AND number IS NOT NULL
    ORDER BY number, name
    LIMIT 1
) AS s ON true
LEFT JOIN LATERAL (
    SELECT r.id, q.slug AS queue, r.assigned_to_id
    FROM evals_reviewitem AS r
    JOIN evals_reviewqueue AS q ON q.id = r.queue_id AND q.closed_at IS NULL
    WHERE r.project_id = %(project_id)s AND r.trace_id = f.target_id AND r.state IN ('open', 'disputed')
    ORDER BY r.id
    LIMIT 1
) AS i ON true
LEFT JOIN accounts_user AS u ON u.id = i.assigned_to_id
WHERE t.trace_id IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM evals_reviewitem AS r
        WHERE r.project_id = %(project_id)s AND r.trace_id = f.target_id AND r.state IN ('done', 'settled', 'dropped')
    )
ORDER BY f.started_at DESC, f.judgement_id DESC
LIMIT %(most)s
