-- The projects with something to do: entries in the feed, huge traces whose turn has come, or another time zone or other
-- rules than those their roll-ups were booked by (no row yet: none). Projects with entries are found by one step along the
-- key of traces_feed each, however many entries there are.
WITH RECURSIVE fed AS (
    (SELECT project_id FROM traces_feed WHERE consumer = %(consumer)s ORDER BY project_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT f.project_id FROM traces_feed AS f
        WHERE f.consumer = %(consumer)s AND f.project_id > fed.project_id ORDER BY f.project_id LIMIT 1
    )
    FROM fed WHERE fed.project_id IS NOT NULL
)
SELECT p.id,
    s.project_id IS NULL OR s.time_zone <> p.time_zone OR s.rules <> %(rules)s AS is_stale,
    fed.project_id IS NOT NULL OR due.project_id IS NOT NULL AS has_work
FROM projects_project AS p
LEFT JOIN fed ON fed.project_id = p.id
LEFT JOIN (SELECT DISTINCT project_id FROM traces_ledger WHERE due_at <= now()) AS due ON due.project_id = p.id
LEFT JOIN traces_rollup_state AS s ON s.project_id = p.id
WHERE fed.project_id IS NOT NULL OR due.project_id IS NOT NULL
    OR s.project_id IS NULL OR s.time_zone <> p.time_zone OR s.rules <> %(rules)s
ORDER BY p.id
