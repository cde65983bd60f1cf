-- What a thumb says, by the project's names: 1 up, -1 down, 0 nothing (taken back, or a value nobody can read).
-- NULL: no thumb. The value columns keep what was told: `thumbs_down` is true, and `thumbs_up` alone has no value.
ALTER TABLE traces_signal ADD COLUMN vote smallint;
-- Signals about sessions that are not here yet, looked for by every trace that comes.
CREATE INDEX traces_signal_awaited ON traces_signal (project_id, session_id)
    WHERE session_id IS NOT NULL AND bound_at IS NULL;
