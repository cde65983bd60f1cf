-- One row per (request id, trace) among %(ids)s: the trace that its sender calls so, that holds an answer of a provider
-- with this id, or (for the first %(deep)s of them) a span whose metadata say `request_id`. `since`, `until`: when its
-- spans began. Of several traces the newest.
-- Stands on traces_trace_foreign, traces_span_response and traces_span_metadata.
WITH asked AS (
    SELECT id, place FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS u (id, place)
), found AS (
    SELECT asked.id, t.trace_id, t.started_at
    FROM asked
    JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.foreign_trace_id = asked.id
    UNION ALL
    SELECT asked.id, s.trace_id, s.started_at
    FROM asked
    JOIN traces_span AS s ON s.project_id = %(project_id)s AND s.response_id = asked.id
        AND s.started_at >= %(since)s AND s.started_at < %(until)s
    UNION ALL
    SELECT asked.id, s.trace_id, s.started_at
    FROM asked
    JOIN LATERAL (
        SELECT x.trace_id, x.started_at
        FROM traces_span AS x
        WHERE x.project_id = %(project_id)s AND x.metadata IS NOT NULL
            AND x.metadata @> jsonb_build_object('request_id', asked.id)
            AND x.started_at >= %(since)s AND x.started_at < %(until)s
        ORDER BY x.started_at DESC
        LIMIT 1
    ) AS s ON asked.place <= %(deep)s
)
SELECT DISTINCT ON (found.id) found.id, found.trace_id
FROM found
JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = found.trace_id
ORDER BY found.id, found.started_at DESC, found.trace_id
