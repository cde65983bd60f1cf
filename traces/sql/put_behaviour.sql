-- Writes rows of units as told in %(rows)s, an array of objects with the names of the columns. Their old rows are locked
-- by the caller. Stands on the key of traces_behaviour.
INSERT INTO traces_behaviour (
    project_id, unit_key, session_id, definition, feature, first_at, last_at, closes_at, is_closed, last_trace_id, turns,
    answers, facts, stratum, vote, votes, rating, length_seconds, cost_pico, is_cost_known, user_id, outcomes
)
SELECT
    %(project_id)s, unit_key, session_id, definition, feature, first_at, last_at, closes_at, is_closed, last_trace_id,
    turns, answers, facts, stratum, vote, votes, rating, length_seconds, cost_pico, is_cost_known, user_id, outcomes
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
    unit_key uuid, session_id text, definition integer, feature text, first_at timestamptz, last_at timestamptz,
    closes_at timestamptz, is_closed boolean, last_trace_id uuid, turns integer, answers integer, facts integer,
    stratum smallint, vote smallint, votes integer, rating double precision, length_seconds double precision,
    cost_pico numeric, is_cost_known boolean, user_id text, outcomes jsonb
)
ORDER BY unit_key
ON CONFLICT (project_id, unit_key) DO UPDATE SET
    session_id = excluded.session_id,
    definition = excluded.definition,
    feature = excluded.feature,
    first_at = excluded.first_at,
    last_at = excluded.last_at,
    closes_at = excluded.closes_at,
    is_closed = excluded.is_closed,
    last_trace_id = excluded.last_trace_id,
    turns = excluded.turns,
    answers = excluded.answers,
    facts = excluded.facts,
    stratum = excluded.stratum,
    vote = excluded.vote,
    votes = excluded.votes,
    rating = excluded.rating,
    length_seconds = excluded.length_seconds,
    cost_pico = excluded.cost_pico,
    is_cost_known = excluded.is_cost_known,
    user_id = excluded.user_id,
    outcomes = excluded.outcomes,
    computed_at = clock_timestamp()
