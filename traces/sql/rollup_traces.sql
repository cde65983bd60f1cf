-- One row per asked trace, in the order asked: what the fold reads of its row (NULL where it is gone) and its ledger
-- (NULL where nothing was booked). Stands on the primary keys.
SELECT
    asked.place, t.span_count, t.started_at, t.last_started_at, t.feature, t.service, t.environment, t.release,
    t.prompt_name, t.prompt_version, t.user_id, t.session_id, t.error_count, t.root_status, {duration_ns}, t.ttft_ns,
    t.finish_reason, t.error_type, l.span_count, l.version, l.data
FROM unnest(%(trace_ids)s::uuid[]) WITH ORDINALITY AS asked (trace_id, place)
LEFT JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = asked.trace_id
LEFT JOIN traces_ledger AS l ON l.project_id = %(project_id)s AND l.trace_id = asked.trace_id
