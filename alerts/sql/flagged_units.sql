-- One row is the last answer of a closed session (or request without one) that began in [start, end), with whether the
-- session is flagged; where its vote names an answer, that one. {flag} and {conditions} are over traces_behaviour AS b.
-- Takes project_id, thumb (the kind of votes). Stands on traces_behaviour_first and traces_signal_unit.
SELECT o.trace_id, NULL::bigint AS span_id, o.started_at, o.is_flagged, 1.0::float8 AS pi
FROM (
    SELECT
        b.first_at AS started_at,
        coalesce({flag}, false) AS is_flagged,
        coalesce(
            CASE WHEN b.votes > 0 THEN (
                SELECT g.trace_id
                FROM traces_signal AS g
                WHERE g.project_id = b.project_id
                    AND g.unit_key = b.unit_key
                    AND g.kind = %(thumb)s
                    AND g.trace_id IS NOT NULL
                ORDER BY g.happened_at DESC, g.signal_id DESC
                LIMIT 1
            ) END,
            b.last_trace_id,
            CASE WHEN b.session_id IS NULL THEN b.unit_key END
        ) AS trace_id
    FROM traces_behaviour AS b
    WHERE b.project_id = %(project_id)s
        AND b.first_at >= %(start)s
        AND b.first_at < %(end)s
        AND b.is_closed
        AND {conditions}
) AS o
WHERE o.trace_id IS NOT NULL
