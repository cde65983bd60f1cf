-- Lets targets wait in a review queue; one that is in it already stays as it is.
-- Takes project_id, queue_id, rows: an array of objects with the columns below. Stands on review_item_once.
INSERT INTO evals_reviewitem (
    project_id, queue_id, trace_id, span_id, started_at, feature, model, prompt_version, reason, stratum, priority,
    pi_judge, pi_review, state, wanted, reviews_count, assigned_to_id, lease_key, created_at
)
SELECT
    %(project_id)s, %(queue_id)s, r.trace_id, r.span_id, r.started_at, r.feature, r.model, r.prompt_version, r.reason,
    r.stratum, r.priority, r.pi_judge, r.pi_review, 'open', r.wanted, 0, r.assigned_to_id, '', clock_timestamp()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
    trace_id uuid, span_id bigint, started_at timestamptz, feature text, model text, prompt_version text, reason text,
    stratum text, priority double precision, pi_judge double precision, pi_review double precision, wanted smallint,
    assigned_to_id bigint
)
ON CONFLICT (queue_id, trace_id, span_id) DO NOTHING
