-- One row a stretch of time: the last decided window in it, and besides every window of `always` (an alarm's first).
-- Takes monitor, chart, start, step (an interval), stretches (how many) and always (window starts).
-- Stands on the primary key of alerts_point: short descents, however many windows there are.
WITH kept AS (
    SELECT newest.start_at
    FROM generate_series(0, %(stretches)s - 1) AS stretch (at)
    CROSS JOIN LATERAL (
        SELECT start_at
        FROM alerts_point
        WHERE monitor_id = %(monitor)s
            AND chart_no = %(chart)s
            AND start_at >= %(start)s + stretch.at * %(step)s
            AND start_at < %(start)s + (stretch.at + 1) * %(step)s
        ORDER BY start_at DESC
        LIMIT 1
    ) AS newest
    UNION
    SELECT unnest(%(always)s::timestamptz[])
)
SELECT
    monitor_id, chart_no, start_at, end_at, n, n_eff, value, low, high, coverage, phase, baseline_id, z,
    statistic, limit_low, limit_high, shown_low, shown_high, shown_level, rule, crossed, alarm_id, state, told,
    revision, revised_n, revised_value, decided_at
FROM alerts_point
JOIN kept USING (start_at)
WHERE monitor_id = %(monitor)s AND chart_no = %(chart)s
ORDER BY start_at
