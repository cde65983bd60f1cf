-- Keeps what people scored, one row a review and criterion; one that is known takes every value of the new one.
-- Takes project_id, source, rows: an array of objects with the columns below. Stands on evals_score_review.
INSERT INTO evals_score AS s (
    project_id, score_id, source, target_kind, trace_id, span_id, session_id, started_at, name, data_type, number,
    label, comment, rubric_version_id, review_id, author, author_id, key_id, pi, made_at, updated_at
)
SELECT
    %(project_id)s, r.score_id, %(source)s, r.target_kind, r.trace_id, r.span_id, r.session_id, r.started_at, r.name,
    r.data_type, r.number, r.label, r.comment, r.rubric_version_id, r.review_id, r.author, r.author_id, r.key_id, r.pi,
    r.made_at, clock_timestamp()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
    score_id bigint, target_kind smallint, trace_id uuid, span_id bigint, session_id text, started_at timestamptz,
    name text, data_type smallint, number double precision, label text, comment text, rubric_version_id bigint,
    review_id bigint, author text, author_id integer, key_id bigint, pi double precision, made_at timestamptz
)
ON CONFLICT (review_id, name) WHERE review_id IS NOT NULL DO UPDATE SET
    trace_id = excluded.trace_id,
    span_id = excluded.span_id,
    session_id = excluded.session_id,
    started_at = excluded.started_at,
    data_type = excluded.data_type,
    number = excluded.number,
    label = excluded.label,
    comment = excluded.comment,
    rubric_version_id = excluded.rubric_version_id,
    author = excluded.author,
    author_id = excluded.author_id,
    pi = excluded.pi,
    made_at = excluded.made_at,
    updated_at = excluded.updated_at
