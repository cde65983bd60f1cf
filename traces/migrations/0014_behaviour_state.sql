-- How far a project's units are counted by its definitions: one row per project that was looked at.
CREATE TABLE traces_behaviour_state (
    project_id integer PRIMARY KEY,
    version integer NOT NULL,             -- of traces.SignalDefinition: every unit was looked at by it; -1 none yet
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
