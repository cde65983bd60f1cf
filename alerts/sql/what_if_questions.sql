-- One row a request, the newest first: what was asked, whether it begins its session, and its cost (NULL: not known). Takes
-- project_id, start, end, limit, and what {conditions} over traces_trace AS t take. Stands on traces_trace_started and
-- traces_trace_session.
SELECT
    t.started_at, t.preview_in, t.feature, t.cost_pico,
    t.unpriced_count + t.unknown_usage_count + t.partial_count AS missing,
    t.session_id IS NULL OR NOT EXISTS (
        SELECT FROM traces_trace AS b
        WHERE b.project_id = t.project_id AND b.session_id = t.session_id AND b.started_at < t.started_at
    ) AS is_first
FROM traces_trace AS t
WHERE t.project_id = %(project_id)s AND t.started_at >= %(start)s AND t.started_at < %(end)s AND {conditions}
ORDER BY t.started_at DESC
LIMIT %(limit)s
