-- One row: a criterion that people (source 2) or judges (1) scored in a project, by name.
-- Takes project_id, sources, limit, queue_id (NULL: any). Stands on evals_score_name: a step for each name.
WITH RECURSIVE named AS (
    (
        SELECT name FROM evals_score
        WHERE project_id = %(project_id)s AND %(queue_id)s::bigint IS NULL
        ORDER BY name LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT s.name FROM evals_score AS s
        WHERE s.project_id = %(project_id)s AND s.name > named.name
        ORDER BY s.name LIMIT 1
    )
    FROM named
    WHERE named.name IS NOT NULL
)
SELECT name FROM (
    SELECT name FROM named
    WHERE name IS NOT NULL AND EXISTS (
        SELECT 1 FROM evals_score AS s
        WHERE s.project_id = %(project_id)s AND s.name = named.name AND s.source = ANY(%(sources)s)
    )
    UNION
    SELECT jsonb_array_elements(v.spec -> 'criteria') ->> 'key'
    FROM evals_reviewqueue AS q
    JOIN evals_rubricversion AS v ON v.id = q.rubric_version_id
    WHERE q.id = %(queue_id)s
) AS found
ORDER BY name
LIMIT %(limit)s
