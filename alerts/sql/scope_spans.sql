-- One row is one trace of those named, with what its spans say: providers, tools, metadata of the first span that has some,
-- the key it was sent with, and how many passages its retrievals found where they were judged.
-- Takes project_id, ids, starts, ends (of each trace's spans), first, last (of all of them), generation and tool (kinds).
-- Stands on the key of traces_span, its partitions bounded by the times: each trace is looked up by itself, whatever the
-- planner believes of tables that grew since it looked.
SELECT
    w.trace_id,
    f.providers,
    f.tools,
    f.metadata,
    (SELECT b.key_id FROM traces_ingest_batch AS b
     WHERE b.project_id = %(project_id)s AND b.batch_id = f.batch_id),
    (SELECT max(r.documents) FROM evals_retrieval AS r
     WHERE r.project_id = %(project_id)s AND r.trace_id = w.trace_id)
FROM unnest(%(ids)s::uuid[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (trace_id, s, e)
CROSS JOIN LATERAL (
    SELECT
        array_agg(DISTINCT s.provider) FILTER (WHERE s.kind = %(generation)s AND s.provider IS NOT NULL) AS providers,
        array_agg(DISTINCT s.tool_name) FILTER (WHERE s.kind = %(tool)s AND s.tool_name IS NOT NULL) AS tools,
        (array_agg(s.metadata ORDER BY s.started_at, s.span_id) FILTER (WHERE s.metadata IS NOT NULL))[1]::text
            AS metadata,
        min(s.batch_id) AS batch_id
    FROM traces_span AS s
    WHERE s.project_id = %(project_id)s
        AND s.trace_id = w.trace_id
        AND s.started_at >= w.s
        AND s.started_at <= w.e
        AND s.started_at >= %(first)s
        AND s.started_at <= %(last)s
) AS f
