-- One row: how many labels of people a criterion of a project has, and what the last look at it found.
-- Takes project_id (NULL: every project). Stands on evals_score_people.
SELECT s.project_id, s.name, s.labels, s.newest_at, m.labels AS marked, m.newest_at AS marked_at, m.judged, m.looked_at
FROM (
    SELECT project_id, name, count(*) AS labels, max(updated_at) AS newest_at
    FROM evals_score
    WHERE source = 2
        AND (%(project_id)s::integer IS NULL OR project_id = %(project_id)s::integer)
    GROUP BY project_id, name
) AS s
LEFT JOIN evals_calibration_mark AS m ON m.project_id = s.project_id AND m.name = s.name
ORDER BY s.project_id, s.name
