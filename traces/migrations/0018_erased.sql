-- What was erased, as keyed hashes: late spans, log events and signals of it are refused at the door.
CREATE TABLE traces_erased (
    project_id integer NOT NULL,
    key uuid NOT NULL,
    what smallint NOT NULL,
    erasure_id bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz,
    PRIMARY KEY (project_id, key)
);
CREATE INDEX traces_erased_of ON traces_erased (erasure_id);
CREATE INDEX traces_erased_until ON traces_erased (until) WHERE until IS NOT NULL;
