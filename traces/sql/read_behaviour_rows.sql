-- One row per unit of which something is asked: {columns} of traces_behaviour. {conditions} choose by its key or stratum,
-- {order} puts them in order. Stands on the key, or on traces_behaviour_stratum.
SELECT {columns}
FROM traces_behaviour AS b
WHERE b.project_id = %(project_id)s
  AND {conditions}
ORDER BY {order}
LIMIT %(limit)s
