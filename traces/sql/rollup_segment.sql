-- The rows of one grain whose buckets begin in [low, high). Buckets of days are placed by their middle (`shift`), so that
-- days cut in a zone the project had before fall on the date they mostly lie in. Bounds are literals: with parameters
-- the planner cannot tell a day from a year. Stands on the primary key, one range.
SELECT r.bucket + {shift} AS middle, r.scope_id, {columns}
FROM {table} AS r
WHERE r.project_id = {project_id}
    AND r.grain = {grain}
    AND r.bucket >= {low}
    AND r.bucket < {high}
    AND {family}
