-- One row: a signal of %(rows)s that is new or says something else than its row did. Those that say the same, or are a
-- late retry (they happened before what is stored, and both were told when), change nothing and give no row.
-- Binds each to its trace or session where that is here, and marks the units whose behaviour has to be looked at: the
-- ones they are about, and the ones they were about before. Rows are locked in order of their keys. A unit that is held
-- (being folded) is not waited for: a row of it, without a signal, stands behind the others, for the caller to mark.
-- Looked up row by row, whatever the planner knows: a plan kept from when tables were small must not read them whole.
-- Takes project_id, key_id, now, only_of (changes rows that these keys told alone; NULL: any), judge (the service of the product's own calls, which are nobody's behaviour).
-- Stands on the keys of traces_signal, traces_trace and traces_behaviour, and on traces_trace_session.
WITH told AS MATERIALIZED (
    SELECT *
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
        signal_key uuid, signal_id bigint, client_id text, target_kind smallint, trace_id uuid, span_id bigint,
        session_id text, request_id text, name text, kind smallint, value_number double precision, value_bool boolean,
        value_label text, value_text text, vote smallint, comment text, source smallint, author text,
        happened_at timestamptz, is_dated boolean, metadata jsonb
    )
), aimed AS MATERIALIZED (
    SELECT
        told.*,
        CASE WHEN t.trace_id IS NULL THEN of_session.session_id
             WHEN t.service IS DISTINCT FROM %(judge)s THEN t.session_id END AS unit_session,
        CASE WHEN t.trace_id IS NULL THEN md5(of_session.session_id)::uuid
             WHEN t.service IS DISTINCT FROM %(judge)s THEN coalesce(md5(t.session_id)::uuid, t.trace_id) END
            AS unit_key,
        CASE WHEN t.trace_id IS NOT NULL OR of_session.session_id IS NOT NULL THEN %(now)s::timestamptz END AS bound_at,
        coalesce(t.feature, of_session.feature) AS feature
    FROM told
    LEFT JOIN LATERAL (
        SELECT x.trace_id, x.session_id, x.service, x.feature
        FROM traces_trace AS x
        WHERE x.project_id = %(project_id)s AND x.trace_id = told.trace_id
        LIMIT 1
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT s.session_id, s.feature
        FROM traces_trace AS s
        WHERE s.project_id = %(project_id)s AND s.session_id = told.session_id
        ORDER BY s.started_at DESC
        LIMIT 1
    ) AS of_session ON t.trace_id IS NULL
), before AS (
    SELECT told.signal_key, s.unit_key
    FROM told
    CROSS JOIN LATERAL (
        SELECT x.unit_key
        FROM traces_signal AS x
        WHERE x.project_id = %(project_id)s AND x.signal_key = told.signal_key
        LIMIT 1
    ) AS s
    WHERE told.client_id IS NOT NULL AND s.unit_key IS NOT NULL
), put AS (
    INSERT INTO traces_signal AS s (
        project_id, signal_key, signal_id, client_id, target_kind, trace_id, span_id, session_id, request_id, name,
        kind, value_number, value_bool, value_label, value_text, vote, comment, source, author, happened_at, is_dated,
        received_at, updated_at, key_id, unit_key, bound_at, feature, metadata
    )
    SELECT
        %(project_id)s, signal_key, signal_id, client_id, target_kind, trace_id, span_id, session_id, request_id, name,
        kind, value_number, value_bool, value_label, value_text, vote, comment, source, author, happened_at, is_dated,
        %(now)s, %(now)s, %(key_id)s, unit_key, bound_at, feature, metadata
    FROM aimed
    ORDER BY signal_key
    ON CONFLICT (project_id, signal_key) DO UPDATE SET
        target_kind = excluded.target_kind,
        trace_id = CASE WHEN excluded.trace_id IS NULL AND s.request_id = excluded.request_id THEN s.trace_id
            ELSE excluded.trace_id END,
        span_id = excluded.span_id,
        session_id = excluded.session_id,
        request_id = excluded.request_id,
        name = excluded.name,
        kind = excluded.kind,
        value_number = excluded.value_number,
        value_bool = excluded.value_bool,
        value_label = excluded.value_label,
        value_text = excluded.value_text,
        vote = excluded.vote,
        comment = excluded.comment,
        source = excluded.source,
        author = excluded.author,
        happened_at = excluded.happened_at,
        is_dated = excluded.is_dated,
        updated_at = excluded.updated_at,
        revision = s.revision + 1,
        key_id = excluded.key_id,
        -- What retention has taken since is no reason to forget where it belonged; another target is.
        unit_key = CASE WHEN excluded.bound_at IS NULL AND (
            s.target_kind, s.session_id, s.request_id, CASE WHEN s.request_id IS NULL THEN s.trace_id END
        ) IS NOT DISTINCT FROM (
            excluded.target_kind, excluded.session_id, excluded.request_id,
            CASE WHEN s.request_id IS NULL THEN excluded.trace_id END
        ) THEN s.unit_key ELSE excluded.unit_key END,
        bound_at = CASE WHEN excluded.bound_at IS NULL AND (
            s.target_kind, s.session_id, s.request_id, CASE WHEN s.request_id IS NULL THEN s.trace_id END
        ) IS NOT DISTINCT FROM (
            excluded.target_kind, excluded.session_id, excluded.request_id,
            CASE WHEN s.request_id IS NULL THEN excluded.trace_id END
        ) THEN s.bound_at ELSE excluded.bound_at END,
        feature = CASE WHEN excluded.bound_at IS NULL AND (
            s.target_kind, s.session_id, s.request_id, CASE WHEN s.request_id IS NULL THEN s.trace_id END
        ) IS NOT DISTINCT FROM (
            excluded.target_kind, excluded.session_id, excluded.request_id,
            CASE WHEN s.request_id IS NULL THEN excluded.trace_id END
        ) THEN s.feature ELSE excluded.feature END,
        metadata = excluded.metadata
    WHERE NOT (s.is_dated AND excluded.is_dated AND excluded.happened_at < s.happened_at)
        AND (%(only_of)s::bigint[] IS NULL OR s.key_id = ANY(%(only_of)s::bigint[]))
        AND (
            s.target_kind, s.trace_id, s.span_id, s.session_id, s.request_id, s.name,
            s.kind, s.value_number, s.value_bool, s.value_label, s.value_text, s.vote, s.comment, s.source, s.author,
            s.metadata, CASE WHEN excluded.is_dated THEN s.happened_at END
        ) IS DISTINCT FROM (
            excluded.target_kind,
            CASE WHEN excluded.trace_id IS NULL AND s.request_id = excluded.request_id THEN s.trace_id
                ELSE excluded.trace_id END,
            excluded.span_id, excluded.session_id, excluded.request_id, excluded.name, excluded.kind,
            excluded.value_number, excluded.value_bool, excluded.value_label, excluded.value_text, excluded.vote,
            excluded.comment, excluded.source, excluded.author, excluded.metadata,
            CASE WHEN excluded.is_dated THEN excluded.happened_at END
        )
    RETURNING s.signal_key, s.revision, s.unit_key, s.trace_id, s.bound_at IS NOT NULL AS is_bound
), touched AS MATERIALIZED (
    SELECT DISTINCT ON (unit_key) unit_key, unit_session
    FROM (
        SELECT put.unit_key, aimed.unit_session
        FROM put
        JOIN aimed USING (signal_key)
        WHERE put.unit_key = aimed.unit_key
        UNION ALL
        SELECT b.unit_key, b.session_id
        FROM put
        JOIN before USING (signal_key)
        CROSS JOIN LATERAL (
            SELECT x.unit_key, x.session_id
            FROM traces_behaviour AS x
            WHERE x.project_id = %(project_id)s AND x.unit_key = before.unit_key
            LIMIT 1
        ) AS b
        WHERE before.unit_key IS DISTINCT FROM put.unit_key
    ) AS units
    ORDER BY unit_key
), known AS MATERIALIZED (
    SELECT touched.unit_key, d.is_there
    FROM touched
    LEFT JOIN LATERAL (
        SELECT true AS is_there
        FROM traces_behaviour_due AS x
        WHERE x.project_id = %(project_id)s AND x.unit_key = touched.unit_key
        LIMIT 1
    ) AS d ON true
), made AS (
    INSERT INTO traces_behaviour_due (project_id, unit_key, session_id, due_at)
    SELECT %(project_id)s, touched.unit_key, touched.unit_session, %(now)s::timestamptz
    FROM touched
    JOIN known USING (unit_key)
    WHERE known.is_there IS NULL
    ORDER BY touched.unit_key
    ON CONFLICT DO NOTHING
    RETURNING unit_key
), held AS MATERIALIZED (
    -- After those that are new, for which another sender may have to be waited for, and never waiting itself.
    SELECT d.unit_key
    FROM traces_behaviour_due AS d
    WHERE d.project_id = %(project_id)s
        AND d.unit_key = ANY (ARRAY(SELECT unit_key FROM known WHERE is_there))
        AND (SELECT count(*) FROM made) >= 0
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE traces_behaviour_due AS d
    SET due_at = %(now)s::timestamptz
    FROM held
    WHERE d.project_id = %(project_id)s AND d.unit_key = held.unit_key AND d.due_at > %(now)s::timestamptz
)
SELECT signal_key, revision, trace_id, is_bound, NULL AS unit_key, NULL AS unit_session
FROM put
UNION ALL
SELECT NULL, NULL, NULL, NULL, unit_key, unit_session
FROM touched
WHERE unit_key NOT IN (SELECT unit_key FROM made UNION ALL SELECT unit_key FROM held)
