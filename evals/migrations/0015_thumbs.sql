-- A queue that waits for user_feedback waits for the other names of a thumb as well: evals.sampling.signals has them.
CREATE OR REPLACE FUNCTION evals_tell_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO evals_feedback (project_id, score_id, told_at)
    SELECT NEW.project_id, NEW.score_id, clock_timestamp()
    WHERE EXISTS (
        SELECT 1 FROM evals_reviewqueue AS q
        WHERE q.project_id = NEW.project_id AND q.kind = 'rules' AND q.closed_at IS NULL
            AND q.config -> 'rules' ? 'thumbs_down'
            AND (
                q.config ->> 'feedback' = NEW.name
                OR (
                    q.config ->> 'feedback' = 'user_feedback'
                    AND translate(lower(btrim(NEW.name)), '- ', '__') IN ('user_feedback', 'thumb', 'thumbs')
                )
            )
    )
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
