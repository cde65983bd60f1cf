-- One row per span of the traces asked for, at most %(limit)s: its id and the texts of its columns. Stands on the primary
-- key of the partitions between the bounds.
SELECT
    trace_id, span_id, name, status_message, error_type, service, environment, release, feature, user_id, session_id,
    provider, model_requested, model_answered, operation, response_id, prompt_name, prompt_version, agent_name,
    workflow_name, tool_name, tags, metadata::text, attributes::text
FROM traces_span
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
LIMIT %(limit)s
