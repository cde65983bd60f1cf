-- Labels of people among millions of scores, and how far each criterion of a project has been calibrated.

CREATE INDEX evals_score_people ON evals_score (project_id, name, updated_at) WHERE source = 2;

-- What a look at a criterion of a project found last: labels of people, the newest, scores of judges beside them.
CREATE TABLE evals_calibration_mark (
    project_id integer NOT NULL,
    name text NOT NULL,                   -- the criterion's key
    labels bigint NOT NULL,
    newest_at timestamptz,                -- the newest change among the labels
    judged bigint NOT NULL,               -- scores of judges on labelled targets
    looked_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);
