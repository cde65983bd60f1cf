-- Keeps scores of programs; one whose caller's id is known replaces what that id had. Gives score_id, external_id and
-- whether it replaced. What is a judge's or a person's under the same id stays, and gives no row.
-- Takes project_id, source, now, rows: an array of objects with the columns below. Stands on evals_score_external.
INSERT INTO evals_score AS s (
    project_id, score_id, source, target_kind, trace_id, span_id, session_id, started_at, name, data_type, number,
    label, comment, evidence, author, author_id, key_id, external_id, metadata, made_at, updated_at
)
SELECT
    %(project_id)s, r.score_id, %(source)s, r.target_kind, r.trace_id, r.span_id, r.session_id, r.started_at, r.name,
    r.data_type, r.number, r.label, r.comment, r.evidence, r.author, r.author_id, r.key_id, r.external_id, r.metadata,
    r.made_at, %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
    score_id bigint, target_kind smallint, trace_id uuid, span_id bigint, session_id text, started_at timestamptz,
    name text, data_type smallint, number double precision, label text, comment text, evidence text[], author text,
    author_id integer, key_id bigint, external_id text, metadata jsonb, made_at timestamptz
)
ORDER BY r.external_id
ON CONFLICT (project_id, external_id) WHERE external_id IS NOT NULL DO UPDATE SET
    target_kind = excluded.target_kind,
    trace_id = excluded.trace_id,
    span_id = excluded.span_id,
    session_id = excluded.session_id,
    started_at = excluded.started_at,
    name = excluded.name,
    data_type = excluded.data_type,
    number = excluded.number,
    label = excluded.label,
    comment = excluded.comment,
    evidence = excluded.evidence,
    author = excluded.author,
    author_id = excluded.author_id,
    key_id = excluded.key_id,
    metadata = excluded.metadata,
    made_at = excluded.made_at,
    updated_at = excluded.updated_at
WHERE s.source = excluded.source
RETURNING score_id, external_id, (xmax <> 0)
