-- One row is one name that some score of the project has, in the order of names.
-- Takes project_id, limit. One step along evals_score_name a name, however many scores have it.
WITH RECURSIVE found AS (
    (SELECT name FROM evals_score WHERE project_id = %(project_id)s ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (
        SELECT c.name FROM evals_score AS c
        WHERE c.project_id = %(project_id)s AND c.name > found.name
        ORDER BY c.name LIMIT 1
    )
    FROM found
    WHERE found.name IS NOT NULL
)
SELECT name FROM found WHERE name IS NOT NULL LIMIT %(limit)s
