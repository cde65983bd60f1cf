-- One row per group, vote and whether they are over, among the newest %(sample)s sessions that match: how many. Without
-- a group: no rule has looked at them yet. {conditions} are those of the list's filter, newest first on its index.
SELECT b.stratum, b.vote, b.is_closed, count(*)
FROM (
    SELECT t.project_id, t.session_key
    FROM traces_session AS t
    WHERE {conditions}
    ORDER BY t.first_started_at DESC, t.session_key DESC
    LIMIT %(sample)s
) AS newest
LEFT JOIN traces_behaviour AS b ON b.project_id = newest.project_id AND b.unit_key = newest.session_key
GROUP BY b.stratum, b.vote, b.is_closed
