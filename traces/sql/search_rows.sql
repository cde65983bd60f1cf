-- One row per trace asked for: when it lies, and the texts of its own row. Stands on the primary key.
SELECT
    trace_id, started_at, last_started_at, updated_at, span_count,
    name, preview_in, preview_out, user_id, session_id, foreign_trace_id, feature, service, environment, release,
    prompt_name, prompt_version, finish_reason, error_type, models, tags
FROM traces_trace
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
