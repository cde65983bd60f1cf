-- One row is one scored response that began in [start, end), with whether its score flags it. {rows} is one of
-- series_scores_judged, _flagged and _posted, its dimensions being the target's ids; {flag} is over r.y.
SELECT
    r.trace_id, nullif(r.span_id, 0) AS span_id, r.started_at, coalesce({flag}, false) AS is_flagged, r.pi
FROM (SELECT %(start)s::timestamptz AS s, %(end)s::timestamptz AS e) AS c
CROSS JOIN LATERAL ({rows}) AS r
WHERE r.trace_id IS NOT NULL
