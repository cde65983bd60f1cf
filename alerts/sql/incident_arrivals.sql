-- One row: an alarm that belongs to no incident, with its monitor, the level it was judged by and the n of its window.
-- Those found since %(since)s; of one project and of some ids where they are given (every alarm of these ids, old ones
-- and members too). Alarms from before their monitor was made, or found a day late, are left out unless named.
-- Stands on alerts_alarm_found, or the primary key.
SELECT
    a.id, a.project_id, a.monitor_id, a.window_start, a.window_end, a.direction, a.rule, a.value, a.severity,
    a.is_page, coalesce(a.ended_at, a.closed_at) AS over_at, a.evidence::text AS evidence, m.name, m.metric,
    (m.definition -> 'scope')::text AS scope, (b.learned ->> 'centre')::double precision AS centre, p.n
FROM alerts_alarm AS a
JOIN alerts_monitor AS m ON m.id = a.monitor_id
LEFT JOIN alerts_baseline AS b ON b.id = a.baseline_id
LEFT JOIN alerts_point AS p
    ON p.monitor_id = a.monitor_id AND p.chart_no = a.chart_no AND p.start_at = a.window_start
WHERE
    (%(project)s::bigint IS NULL OR a.project_id = %(project)s)
    AND (
        a.id = ANY(%(ids)s::bigint[])
        OR (
            %(ids)s::bigint[] IS NULL AND a.found_at > %(since)s
            AND (a.is_page OR a.window_end > greatest(m.created_at, a.found_at - interval '1 day'))
            AND NOT EXISTS (
                SELECT FROM alerts_incidentmember AS i
                WHERE i.project_id = a.project_id AND i.kind = 'alarm' AND i.ref = a.id
            )
        )
    )
ORDER BY NOT a.is_page, a.id
LIMIT %(limit)s
