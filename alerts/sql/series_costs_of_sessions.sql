-- One row is a closed session by its first turn, with what it cost. Takes project_id; {dimensions} and {conditions} over
-- traces_behaviour AS b. Stands on traces_behaviour_first.
SELECT {dimensions} b.cost_pico, b.is_cost_known AS is_known
FROM traces_behaviour AS b
WHERE b.project_id = %(project_id)s
    AND b.first_at >= c.s
    AND b.first_at < c.e
    AND b.is_closed
    AND b.session_id IS NOT NULL
    AND {conditions}
