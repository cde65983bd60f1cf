-- Keeps verdicts of people from elsewhere; one whose caller's id is known takes every value of the new one.
-- Gives the review, its caller's id and whether it is new. Takes project_id, rows: objects with the columns below.
-- Stands on review_external.
INSERT INTO evals_review AS r (
    project_id, rubric_version_id, trace_id, span_id, reviewer_id, reviewer_name, verdict, category, note,
    is_adjudication, was_blind, is_skip, pi_judge, pi_review, external_id, created_at
)
SELECT
    %(project_id)s, n.rubric_version_id, n.trace_id, n.span_id, n.reviewer_id, n.reviewer_name, n.verdict, n.category,
    n.note, n.is_adjudication, n.was_blind, false, n.pi_judge, n.pi_review, n.external_id, n.created_at
FROM jsonb_to_recordset(%(rows)s::jsonb) AS n (
    rubric_version_id bigint, trace_id uuid, span_id bigint, reviewer_id bigint, reviewer_name text, verdict text,
    category text, note text, is_adjudication boolean, was_blind boolean, pi_judge double precision,
    pi_review double precision, external_id text, created_at timestamptz
)
ORDER BY n.external_id
ON CONFLICT (project_id, external_id) WHERE external_id IS NOT NULL DO UPDATE SET
    rubric_version_id = excluded.rubric_version_id,
    trace_id = excluded.trace_id,
    span_id = excluded.span_id,
    reviewer_id = excluded.reviewer_id,
    reviewer_name = excluded.reviewer_name,
    verdict = excluded.verdict,
    category = excluded.category,
    note = excluded.note,
    is_adjudication = excluded.is_adjudication,
    was_blind = excluded.was_blind,
    pi_judge = excluded.pi_judge,
    pi_review = excluded.pi_review,
    created_at = excluded.created_at,
    undone_at = NULL
RETURNING id, external_id, (xmax = 0)
