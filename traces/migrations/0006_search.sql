-- The full-text index. Its texts are copies of what the tables of spans hold, as terms; docs/search.md tells the layout.

-- One row per project: whose lock is the right to write the project's index.
CREATE TABLE traces_search_state (
    project_id integer NOT NULL PRIMARY KEY,
    next_version bigint NOT NULL DEFAULT 1,
    attempts smallint NOT NULL DEFAULT 0,     -- passes begun since one was finished: a dying one is taken in smaller bites
    set_aside bigint NOT NULL DEFAULT 0,      -- documents whose texts could not be read; found by their row alone
    is_backfilled boolean NOT NULL DEFAULT false -- whether every trace stored before the index has been taken in
);

-- One row per trace in the index: its version, by which its entry in a segment counts or not.
CREATE TABLE traces_search_doc (
    project_id integer NOT NULL,
    trace_id uuid NOT NULL,
    version bigint NOT NULL,
    day timestamptz NOT NULL,                 -- of its segment
    started_at timestamptz NOT NULL,          -- by which its place in the segment is found
    flags smallint NOT NULL,                  -- 1: cut at a limit; 2: set aside
    PRIMARY KEY (project_id, trace_id)
);
CREATE INDEX traces_search_doc_cut ON traces_search_doc (project_id) WHERE flags <> 0;

-- One row per segment: documents of one day, and which of them no longer count.
CREATE TABLE traces_search_segment (
    project_id integer NOT NULL,
    segment_id bigint NOT NULL,
    day timestamptz NOT NULL,
    first_at timestamptz NOT NULL,            -- starts of its first and last document
    last_at timestamptz NOT NULL,
    docs integer NOT NULL,
    gone integer NOT NULL,                    -- how many of them no longer count
    bytes bigint NOT NULL,
    first_version bigint NOT NULL,            -- within a day no two segments' versions overlap
    last_version bigint NOT NULL,
    block_starts bytea NOT NULL,              -- packed starts of the document blocks
    gone_map bytea,                           -- bits by ordinal, zstd
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (project_id, segment_id)
);
CREATE INDEX traces_search_segment_last ON traces_search_segment (project_id, last_at DESC);

-- Blocks of segments, packed: kind 0 documents, `first` their number; kind 1 terms, `first` the first of them.
CREATE TABLE traces_search_block (
    project_id integer NOT NULL,
    segment_id bigint NOT NULL,
    kind smallint NOT NULL,
    first bytea NOT NULL,
    day timestamptz NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (project_id, segment_id, kind, first, day)
) PARTITION BY RANGE (day);
-- They are compressed already.
ALTER TABLE traces_search_block ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE traces_search_segment ALTER COLUMN block_starts SET STORAGE EXTERNAL;
ALTER TABLE traces_search_segment ALTER COLUMN gone_map SET STORAGE EXTERNAL;
CREATE TABLE traces_search_block_guarded PARTITION OF traces_search_block DEFAULT;
