-- One row is one window, outcome and feature (where asked for): the sums of its ratio.
-- Takes project_id, ids, starts and ends of the windows (whole hours). Stands on the key of traces_outcome_hour.
SELECT c.place - 1 AS at, h.outcome_id, {dimensions} sum(h.n), sum(h.unknown), sum(h.x), sum(h.y), sum(h.xx), sum(h.xy), sum(h.yy)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT h.*
    FROM traces_outcome_hour AS h
    WHERE h.project_id = %(project_id)s
        AND h.outcome_id = ANY (%(ids)s::bigint[])
        AND h.hour >= c.s
        AND h.hour < c.e
) AS h
GROUP BY c.place, h.outcome_id {groups}
