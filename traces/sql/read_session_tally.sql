-- One row per group, vote and whether they are over, among the newest %(sample)s sessions that match: how many, and of
-- how many sessions these were looked for. Without a group: no rule has looked at them yet. {near} is on a session's own
-- row, newest first on its index; no more than %(scan)s of these are looked at for {far}.
WITH newest AS MATERIALIZED (
    SELECT t.project_id, t.session_key
    FROM traces_session AS t
    WHERE {near}
    ORDER BY t.first_started_at DESC, t.session_key DESC
    LIMIT %(scan)s
),
matching AS (
    SELECT t.project_id, t.session_key
    FROM newest AS t
    WHERE {far}
    LIMIT %(sample)s
)
SELECT b.stratum, b.vote, b.is_closed, count(*), (SELECT count(*) FROM newest)
FROM matching AS m
LEFT JOIN traces_behaviour AS b ON b.project_id = m.project_id AND b.unit_key = m.session_key
GROUP BY b.stratum, b.vote, b.is_closed
