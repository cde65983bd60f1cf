-- Keeps scores of a judge from elsewhere, one a judgement and criterion; one that is there takes the new values. Where
-- the same score comes without a reason or quotes (a table has no place for quotes), those that it had stay.
-- Takes project_id, source, judge_id, version_id, rubric_version_id, now, rows: objects with the columns below.
-- Stands on evals_score_judgement.
INSERT INTO evals_score AS s (
    project_id, score_id, source, target_kind, trace_id, span_id, session_id, started_at, name, data_type, number,
    label, comment, evidence, judge_id, judge_version_id, rubric_version_id, judgement_id, pi, made_at, updated_at
)
SELECT
    %(project_id)s, n.score_id, %(source)s, n.target_kind, n.trace_id, n.span_id, n.session_id, n.started_at, n.name,
    n.data_type, n.number, n.label, n.comment, n.evidence, %(judge_id)s, %(version_id)s, %(rubric_version_id)s,
    n.judgement_id, n.pi, n.made_at, %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS n (
    score_id bigint, judgement_id bigint, target_kind smallint, trace_id uuid, span_id bigint, session_id text,
    started_at timestamptz, name text, data_type smallint, number double precision, label text, comment text,
    evidence text[], pi double precision, made_at timestamptz
)
ON CONFLICT (judgement_id, name) WHERE judgement_id IS NOT NULL DO UPDATE SET
    session_id = excluded.session_id,
    started_at = excluded.started_at,
    data_type = excluded.data_type,
    number = excluded.number,
    label = excluded.label,
    comment = CASE
        WHEN excluded.comment IS NULL AND (excluded.number, excluded.label) IS NOT DISTINCT FROM (s.number, s.label)
        THEN s.comment
        ELSE excluded.comment
    END,
    evidence = CASE
        WHEN excluded.evidence IS NULL AND (excluded.number, excluded.label) IS NOT DISTINCT FROM (s.number, s.label)
        THEN s.evidence
        ELSE excluded.evidence
    END,
    rubric_version_id = excluded.rubric_version_id,
    pi = excluded.pi,
    made_at = excluded.made_at,
    updated_at = excluded.updated_at
