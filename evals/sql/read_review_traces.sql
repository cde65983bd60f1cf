-- One row: a trace with what its review is grouped by. Takes project_id, trace_ids. Stands on the key of traces.
SELECT
    trace_id,
    started_at,
    coalesce(feature, ''),
    coalesce(models[1], ''),
    coalesce(prompt_version, ''),
    coalesce(session_id, '')
FROM traces_trace
WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s)
