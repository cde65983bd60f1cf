-- What a judge flagged, until the review queues that want it have it. Told in the transaction that flags, and deleted in
-- the transaction that queues, so that nothing is skipped and nothing comes twice, whatever order things commit in.
CREATE TABLE evals_flagged (
    project_id integer NOT NULL,
    judgement_id bigint NOT NULL,
    judge_id bigint NOT NULL,
    PRIMARY KEY (project_id, judgement_id)
);

CREATE FUNCTION evals_tell_flagged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO evals_flagged (project_id, judgement_id, judge_id)
    SELECT NEW.project_id, NEW.judgement_id, NEW.judge_id
    WHERE EXISTS (
        SELECT 1 FROM evals_reviewqueue AS q
        WHERE q.project_id = NEW.project_id AND q.kind = 'rules' AND q.closed_at IS NULL
            AND (q.judge_id IS NULL OR q.judge_id = NEW.judge_id)
    )
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

-- Traces and spans alone: results of experiments are no traffic. Repeats and probes say nothing new of their target.
CREATE TRIGGER evals_judgement_flagged AFTER INSERT OR UPDATE OF is_flagged ON evals_judgement
    FOR EACH ROW WHEN (NEW.is_flagged AND NEW.repeat = 0 AND NEW.target_kind IN (1, 2) AND NEW.purpose IN (1, 2))
    EXECUTE FUNCTION evals_tell_flagged();

-- The last reviews of one person: their pace, and what undo takes back.
CREATE INDEX evals_review_reviewer ON evals_review (project_id, reviewer_id, id DESC);
