-- Ids of requests of a random stretch of each of some windows, the newest first. Takes project_id, starts, middles, ends and
-- wanted of the windows, and what {conditions} over traces_trace AS t take. Stands on traces_trace_started.
SELECT x.trace_id
FROM unnest(%(starts)s::timestamptz[], %(middles)s::timestamptz[], %(ends)s::timestamptz[], %(wanted)s::integer[])
    AS w (s, m, e, n)
CROSS JOIN LATERAL (
    (
        SELECT t.trace_id, t.started_at FROM traces_trace AS t
        WHERE t.project_id = %(project_id)s AND t.started_at >= w.m AND t.started_at < w.e AND {conditions}
        ORDER BY t.started_at
        LIMIT w.n
    )
    UNION ALL
    (
        SELECT t.trace_id, t.started_at FROM traces_trace AS t
        WHERE t.project_id = %(project_id)s AND t.started_at >= w.s AND t.started_at < w.m AND {conditions}
        ORDER BY t.started_at
        LIMIT w.n
    )
    LIMIT w.n
) AS x
