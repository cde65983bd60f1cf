-- What programs scored, until the review queues that wait for thumbs-down have seen it. Told in the transaction of the
-- score, and deleted in the transaction that queues its trace. Told where a queue waits for a score of this name alone.
CREATE TABLE evals_feedback (
    project_id integer NOT NULL,
    score_id bigint NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, score_id)
);

CREATE FUNCTION evals_tell_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO evals_feedback (project_id, score_id, told_at)
    SELECT NEW.project_id, NEW.score_id, clock_timestamp()
    WHERE EXISTS (
        SELECT 1 FROM evals_reviewqueue AS q
        WHERE q.project_id = NEW.project_id AND q.kind = 'rules' AND q.closed_at IS NULL
            AND q.config -> 'rules' ? 'thumbs_down'
            AND q.config ->> 'feedback' = NEW.name
    )
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER evals_score_feedback AFTER INSERT OR UPDATE OF name, number, label, trace_id ON evals_score
    FOR EACH ROW WHEN (NEW.source = 3 AND NEW.target_kind IN (1, 2) AND NEW.trace_id IS NOT NULL)
    EXECUTE FUNCTION evals_tell_feedback();
