-- Keeps judgements from elsewhere, one a target and judge version; one that is there takes the new values.
-- Gives target, span, judgement and whether it is new. Takes project_id, judge_id, version_id, purpose, now, rows: objects
-- with the columns below. Stands on evals_judgement_once.
INSERT INTO evals_judgement AS j (
    project_id, judgement_id, judge_id, judge_version_id, target_kind, target_id, span_id, purpose, pi, state, next_at,
    made_at, done_at, started_at, feature, model, prompt_version, session_id, is_flagged
)
SELECT
    %(project_id)s, n.judgement_id, %(judge_id)s, %(version_id)s, n.target_kind, n.target_id, n.span_id, %(purpose)s,
    n.pi, 'scored', %(now)s, %(now)s, n.done_at, n.started_at, n.feature, n.model, n.prompt_version, n.session_id,
    n.is_flagged
FROM jsonb_to_recordset(%(rows)s::jsonb) AS n (
    judgement_id bigint, target_kind smallint, target_id uuid, span_id bigint, pi double precision, is_flagged boolean,
    done_at timestamptz, started_at timestamptz, feature text, model text, prompt_version text, session_id text
)
ON CONFLICT (judge_version_id, target_id, span_id, repeat) DO UPDATE SET
    pi = excluded.pi,
    is_flagged = excluded.is_flagged,
    done_at = excluded.done_at,
    started_at = excluded.started_at,
    feature = excluded.feature,
    model = excluded.model,
    prompt_version = excluded.prompt_version,
    session_id = excluded.session_id
RETURNING target_id, span_id, judgement_id, (xmax = 0)
