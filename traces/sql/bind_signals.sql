-- One row: a signal of %(keys)s that is bound anew, with its unit and trace. `traces`: beside each key the trace that
-- its request was found to be, NULL where it names its trace itself. Signals are locked in order of their keys, then
-- the units that are marked, the new and the old, in order of theirs.
-- Takes project_id, now, judge. Stands on the keys of traces_signal and traces_trace, and on traces_trace_session.
WITH asked AS (
    SELECT signal_key, max(trace_id::text)::uuid AS trace_id
    FROM unnest(%(keys)s::uuid[], %(traces)s::uuid[]) AS u (signal_key, trace_id)
    GROUP BY signal_key
), held AS MATERIALIZED (
    SELECT s.signal_key, coalesce(s.trace_id, asked.trace_id) AS trace_id, s.session_id, s.unit_key, s.bound_at,
        s.feature, s.trace_id AS told_trace
    FROM traces_signal AS s
    JOIN asked USING (signal_key)
    WHERE s.project_id = %(project_id)s
    ORDER BY s.signal_key
    FOR UPDATE OF s
), aimed AS MATERIALIZED (
    SELECT
        held.*,
        CASE WHEN t.trace_id IS NULL THEN of_session.session_id
             WHEN t.service IS DISTINCT FROM %(judge)s THEN t.session_id END AS unit_session,
        CASE WHEN t.trace_id IS NULL THEN md5(of_session.session_id)::uuid
             WHEN t.service IS DISTINCT FROM %(judge)s THEN coalesce(md5(t.session_id)::uuid, t.trace_id) END
            AS new_unit,
        coalesce(t.feature, of_session.feature) AS new_feature
    FROM held
    LEFT JOIN LATERAL (
        SELECT x.trace_id, x.session_id, x.service, x.feature
        FROM traces_trace AS x
        WHERE x.project_id = %(project_id)s AND x.trace_id = held.trace_id
        LIMIT 1
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT s.session_id, s.feature
        FROM traces_trace AS s
        WHERE s.project_id = %(project_id)s AND s.session_id = held.session_id
        ORDER BY s.started_at DESC
        LIMIT 1
    ) AS of_session ON t.trace_id IS NULL
    WHERE t.trace_id IS NOT NULL OR of_session.session_id IS NOT NULL
), bound AS (
    UPDATE traces_signal AS s
    SET unit_key = aimed.new_unit, feature = aimed.new_feature, trace_id = aimed.trace_id,
        bound_at = coalesce(s.bound_at, %(now)s::timestamptz)
    FROM aimed
    WHERE s.project_id = %(project_id)s AND s.signal_key = aimed.signal_key
        AND (s.bound_at IS NULL OR (s.unit_key, s.feature, s.trace_id)
            IS DISTINCT FROM (aimed.new_unit, aimed.new_feature, aimed.trace_id))
    RETURNING s.signal_key, s.trace_id, aimed.new_unit AS unit_key, aimed.unit_session, aimed.unit_key AS old_unit
), touched AS (
    SELECT unit_key, unit_session FROM bound WHERE unit_key IS NOT NULL
    UNION ALL
    SELECT b.unit_key, b.session_id
    FROM bound
    CROSS JOIN LATERAL (
        SELECT x.unit_key, x.session_id
        FROM traces_behaviour AS x
        WHERE x.project_id = %(project_id)s AND x.unit_key = bound.old_unit
        LIMIT 1
    ) AS b
    WHERE bound.old_unit IS DISTINCT FROM bound.unit_key
), marked AS (
    INSERT INTO traces_behaviour_due AS d (project_id, unit_key, session_id, due_at)
    SELECT DISTINCT ON (unit_key) %(project_id)s, unit_key, unit_session, %(now)s::timestamptz
    FROM touched
    ORDER BY unit_key
    ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = excluded.due_at WHERE d.due_at > excluded.due_at
)
SELECT signal_key, trace_id, unit_key, unit_session FROM bound
