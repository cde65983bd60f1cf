-- One row per combination of what the spans of the asked traces were run with, and the first and last start of such a span.
-- Spans whose time was made up (flag 1) and our own calls are left out; of a span that names no service, environment or
-- feature those of its trace count. Stands on the primary keys of traces_trace and traces_span; the bounds of a trace keep
-- the partitions of other days out.
SELECT
    coalesce(s.environment, t.environment, ''),
    coalesce(s.service, t.service, ''),
    coalesce(s.feature, t.feature, ''),
    s.release,
    s.prompt_name,
    s.prompt_version,
    CASE WHEN s.kind = ANY(%(model_kinds)s) THEN s.provider END,
    CASE WHEN s.kind = ANY(%(model_kinds)s) THEN s.model_requested END,
    CASE WHEN s.kind = ANY(%(model_kinds)s) THEN s.model_answered END,
    CASE
        WHEN s.kind = ANY(%(model_kinds)s) THEN coalesce(
            s.attributes ->> 'openai.response.system_fingerprint',
            s.attributes ->> 'gen_ai.openai.response.system_fingerprint',
            s.attributes ->> 'llm.openai.system_fingerprint',
            s.attributes ->> 'system_fingerprint'
        )
    END,
    min(s.started_at),
    max(s.started_at)
FROM traces_trace AS t
JOIN traces_span AS s
    ON s.project_id = t.project_id
    AND s.trace_id = t.trace_id
    AND s.started_at >= t.started_at
    AND s.started_at <= t.last_started_at
WHERE t.project_id = %(project_id)s
    AND t.trace_id = ANY(%(trace_ids)s)
    AND s.flags & 1 = 0
    AND s.service IS DISTINCT FROM %(judge)s
    AND (t.span_count <= %(huge)s OR s.batch_id = ANY(%(batch_ids)s))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
