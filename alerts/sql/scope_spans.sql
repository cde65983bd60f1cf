-- One row is one trace of those named, with what its spans say: providers, tools, metadata of the first span that has some,
-- the keys it was sent with, and how many passages its retrievals found where they were judged.
-- Takes project_id, ids, starts, ends (of each trace's spans), generations and tools (kinds of spans).
-- Stands on the key of traces_span, its partitions bounded by each trace's times.
SELECT
    w.trace_id,
    array_agg(DISTINCT s.provider) FILTER (WHERE s.kind = %(generation)s AND s.provider IS NOT NULL),
    array_agg(DISTINCT s.tool_name) FILTER (WHERE s.kind = %(tool)s AND s.tool_name IS NOT NULL),
    (array_agg(s.metadata ORDER BY s.started_at, s.span_id) FILTER (WHERE s.metadata IS NOT NULL))[1]::text,
    min(b.key_id),
    (SELECT max(r.documents) FROM evals_retrieval AS r
     WHERE r.project_id = %(project_id)s AND r.trace_id = w.trace_id)
FROM unnest(%(ids)s::uuid[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (trace_id, s, e)
JOIN traces_span AS s
    ON s.project_id = %(project_id)s AND s.trace_id = w.trace_id AND s.started_at >= w.s AND s.started_at <= w.e
LEFT JOIN traces_ingest_batch AS b ON b.project_id = %(project_id)s AND b.batch_id = s.batch_id
GROUP BY w.trace_id
