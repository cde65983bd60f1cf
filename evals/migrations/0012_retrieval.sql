-- One row a retrieval and who judged it: what pages of retrieval count, made from evals_document_score as that changes.
CREATE TABLE evals_retrieval (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    source smallint NOT NULL,             -- as in evals_score
    judge_version_id bigint NOT NULL DEFAULT 0,
    feature text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    pi double precision,
    documents smallint NOT NULL DEFAULT 0, -- how many the list has
    judged smallint NOT NULL DEFAULT 0,
    -- Relevant ones among the first k; NULL where one of them was not judged.
    relevant_1 smallint,
    relevant_3 smallint,
    relevant_5 smallint,
    relevant_10 smallint,
    reciprocal double precision,          -- 1 / rank of the first relevant one; NULL where that is not known
    PRIMARY KEY (project_id, trace_id, span_id, source, judge_version_id)
);
CREATE INDEX evals_retrieval_window ON evals_retrieval (project_id, source, judge_version_id, started_at)
    INCLUDE (feature);
INSERT INTO evals_retrieval
SELECT project_id, trace_id, span_id, source, judge_version_id, min(feature), min(started_at), min(pi), max(rank),
    count(*),
    CASE WHEN count(*) FILTER (WHERE rank <= 1) = least(1, max(rank))
        THEN count(*) FILTER (WHERE rank <= 1 AND relevance >= 0.5) END,
    CASE WHEN count(*) FILTER (WHERE rank <= 3) = least(3, max(rank))
        THEN count(*) FILTER (WHERE rank <= 3 AND relevance >= 0.5) END,
    CASE WHEN count(*) FILTER (WHERE rank <= 5) = least(5, max(rank))
        THEN count(*) FILTER (WHERE rank <= 5 AND relevance >= 0.5) END,
    CASE WHEN count(*) FILTER (WHERE rank <= 10) = least(10, max(rank))
        THEN count(*) FILTER (WHERE rank <= 10 AND relevance >= 0.5) END,
    CASE WHEN count(*) = max(rank)
        THEN coalesce(1.0 / min(rank) FILTER (WHERE relevance >= 0.5), 0) END
FROM evals_document_score
GROUP BY project_id, trace_id, span_id, source, judge_version_id;
DROP INDEX evals_document_score_age;
