-- One row per signal of the units asked for, the newest %(limit)s of each, newest first. Stands on traces_signal_unit:
-- OFFSET 0 keeps the order from choosing the index of the newest, which would be read from its beginning.
SELECT asked.unit_key, s.kind, s.name, s.source, s.happened_at, s.trace_id, s.value_number, s.value_bool, s.value_label,
    s.author, s.vote
FROM unnest(%(keys)s::uuid[]) AS asked (unit_key)
CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT g.kind, g.name, g.source, g.happened_at, g.trace_id, g.value_number, g.value_bool, g.value_label, g.author,
            g.vote, g.signal_id
        FROM traces_signal AS g
        WHERE g.project_id = %(project_id)s
          AND g.unit_key = asked.unit_key
        OFFSET 0
    ) AS of_unit
    ORDER BY happened_at DESC, signal_id DESC
    LIMIT %(limit)s
) AS s
