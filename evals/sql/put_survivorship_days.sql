-- Keeps verdicts of days; where one says something else than the stored one, its revision grows.
-- Takes project_id, rows: an array of objects with the columns below, now. Stands on survivorship_day_once.
INSERT INTO evals_survivorshipday AS kept (
    project_id, day, is_whole, feature, colour, rule, sessions, figures, definition, basis, revision, computed_at
)
SELECT
    %(project_id)s, r.day, r.is_whole, r.feature, r.colour, r.rule, r.sessions, r.figures, r.definition, r.basis, 1,
    %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
    day date, is_whole boolean, feature text, colour text, rule text, sessions bigint, figures jsonb,
    definition integer, basis text
)
ON CONFLICT (project_id, is_whole, feature, day) DO UPDATE SET
    colour = excluded.colour,
    rule = excluded.rule,
    sessions = excluded.sessions,
    figures = excluded.figures,
    definition = excluded.definition,
    basis = excluded.basis,
    revision = kept.revision + CASE
        WHEN (kept.colour, kept.rule, kept.sessions, kept.figures, kept.basis)
            IS DISTINCT FROM (excluded.colour, excluded.rule, excluded.sessions, excluded.figures, excluded.basis)
        THEN 1
        ELSE 0
    END,
    computed_at = excluded.computed_at
