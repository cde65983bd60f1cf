-- One row per session of %(keys)s that rules have looked at: what its user did. On the table's key.
SELECT b.unit_key, b.stratum, b.facts, b.vote, b.votes, b.rating, b.is_closed, b.closes_at, b.definition
FROM traces_behaviour AS b
WHERE b.project_id = %(project_id)s
    AND b.unit_key = ANY(%(keys)s::uuid[])
