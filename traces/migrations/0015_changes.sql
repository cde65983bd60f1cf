-- What a project's traces were seen to run: the ground from which changes are derived, and the registry of models.

-- One row per value seen on one line (traces.changing.rules): a release of a service, a model of a feature, the version of
-- a prompt, the model that answers to a name, the provider, the fingerprint of a model. first_at and last_at are starts
-- of spans, the least and the greatest, so that it does not matter in which order spans came, nor how often.
CREATE TABLE traces_sighting (
    project_id integer NOT NULL,
    sighting_id bigint NOT NULL,          -- a digest of what, environment, service, feature, provider, name and value
    what smallint NOT NULL,
    environment text NOT NULL DEFAULT '', -- '': none was told
    service text NOT NULL DEFAULT '',
    feature text NOT NULL DEFAULT '',
    provider text NOT NULL DEFAULT '',
    name text NOT NULL DEFAULT '',        -- of the prompt; the model that was asked for
    value text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, sighting_id)
) WITH (fillfactor = 80);
CREATE INDEX traces_sighting_line ON traces_sighting (project_id, what, environment, service, feature, provider, name);

-- How far a project's spans were looked at. `backfill` is where the look at spans older than this table stands.
CREATE TABLE traces_sighting_state (
    project_id integer PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now(),
    left_out bigint NOT NULL DEFAULT 0,   -- values beyond the cap of a project, told once each time they came
    backfilled_at timestamptz             -- all spans stored before `since` were looked at
);
