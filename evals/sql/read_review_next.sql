-- One row: what the end user said in the turn after a trace, as lists show it.
-- Takes project_id, trace_id. Stands on the index of traces by session.
SELECT n.preview_in
FROM traces_trace AS t
JOIN traces_trace AS n
    ON n.project_id = t.project_id
    AND n.session_id = t.session_id
    AND n.started_at > t.started_at
WHERE t.project_id = %(project_id)s AND t.trace_id = %(trace_id)s AND t.session_id <> ''
ORDER BY n.started_at
LIMIT 1
