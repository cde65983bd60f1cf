-- One row per signal of the units asked for, the newest %(limit)s of each, newest first. Stands on traces_signal_unit.
SELECT asked.unit_key, s.kind, s.name, s.source, s.happened_at, s.trace_id, s.value_number, s.value_bool, s.value_label,
    s.author, s.vote
FROM unnest(%(keys)s::uuid[]) AS asked (unit_key)
CROSS JOIN LATERAL (
    SELECT * FROM traces_signal AS s
    WHERE s.project_id = %(project_id)s
      AND s.unit_key = asked.unit_key
    ORDER BY s.happened_at DESC, s.signal_id DESC
    LIMIT %(limit)s
) AS s
