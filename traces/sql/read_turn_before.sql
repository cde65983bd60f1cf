-- One row, where the session has this trace: start and id of the trace before it (NULL where it is the first) and how
-- many there are before it, counted no further than %(limit)s. Stands on traces_trace_session.
SELECT earlier.started_at, earlier.trace_id, counted.n
FROM traces_trace AS t
LEFT JOIN LATERAL (
    SELECT e.started_at, e.trace_id
    FROM traces_trace AS e
    WHERE e.project_id = t.project_id
      AND e.session_id = t.session_id
      AND (e.started_at, e.trace_id) < (t.started_at, t.trace_id)
    ORDER BY e.started_at DESC, e.trace_id DESC
    LIMIT 1
) AS earlier ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS n
    FROM (
        SELECT 1
        FROM traces_trace AS e
        WHERE e.project_id = t.project_id
          AND e.session_id = t.session_id
          AND (e.started_at, e.trace_id) < (t.started_at, t.trace_id)
        LIMIT %(limit)s
    ) AS before
) AS counted
WHERE t.project_id = %(project_id)s
  AND t.trace_id = %(trace_id)s
  AND t.session_id = %(session_id)s
