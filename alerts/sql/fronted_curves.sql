-- One row a monitor and stretch of time: the last window of that stretch that was judged by itself and has a value, else
-- the last one; for a small chart with its limits.
-- Takes ids and chart_nos (arrays, in step), start, step (an interval) and stretches (how many).
-- Stands on the primary key of alerts_point: a short descent or two an answer, whatever the length of a window.
SELECT
    m.id,
    p.start_at,
    p.end_at,
    COALESCE(p.revised_n, p.n),
    CASE WHEN p.revised_n IS NULL THEN p.value ELSE p.revised_value END,
    p.shown_low,
    p.shown_high,
    p.shown_level,
    p.state
FROM unnest(%(ids)s::bigint[], %(chart_nos)s::int[]) AS m (id, chart_no)
CROSS JOIN generate_series(0, %(stretches)s - 1) AS stretch (at)
CROSS JOIN LATERAL (
    (
        SELECT *
        FROM alerts_point
        WHERE monitor_id = m.id
            AND chart_no = m.chart_no
            AND start_at >= %(start)s + stretch.at * %(step)s
            AND start_at < %(start)s + (stretch.at + 1) * %(step)s
            AND value IS NOT NULL
            AND state <> 'waiting'
        ORDER BY start_at DESC
        LIMIT 1
    )
    UNION ALL
    (
        SELECT *
        FROM alerts_point
        WHERE monitor_id = m.id
            AND chart_no = m.chart_no
            AND start_at >= %(start)s + stretch.at * %(step)s
            AND start_at < %(start)s + (stretch.at + 1) * %(step)s
        ORDER BY start_at DESC
        LIMIT 1
    )
    LIMIT 1
) AS p
ORDER BY m.id, stretch.at
