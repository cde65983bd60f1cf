-- One row per decided window of a chart: what it held, what came of it, and the limits it was judged by.
CREATE TABLE alerts_point (
    monitor_id bigint NOT NULL,
    chart_no integer NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    project_id integer NOT NULL,
    n bigint NOT NULL,                    -- units in the denominator; 0: nothing came
    n_eff double precision,               -- of weighted units
    value double precision,               -- what is drawn, in the metric's unit; NULL: unknown
    low double precision,                 -- 95 % interval of the value
    high double precision,
    coverage double precision,            -- share of what could be known that is: judged, priced, streamed
    phase smallint NOT NULL,              -- 1 learning, 2 watched, 3 watched while latched
    baseline_id bigint,                   -- whose limits judged it; NULL while learning and for fixed limits
    z double precision,
    statistic double precision,
    limit_low double precision,           -- on the scale of the statistic
    limit_high double precision,
    shown_low double precision,           -- the limits in the metric's unit, for the drawing
    shown_high double precision,
    shown_level double precision,         -- the smoothed level in the metric's unit (centre line + statistic)
    rule text NOT NULL DEFAULT '',
    crossed text NOT NULL DEFAULT '',     -- '', 'up', 'down'
    alarm_id bigint,                      -- the alarm this window opened
    state text NOT NULL,                  -- alerts.monitors.states.PointState
    told jsonb,                           -- every rule's statistic and limits, run rules, why it says nothing
    data bytea,                           -- what the detector took (alerts.monitors.packing); the same after a replay
    revision integer NOT NULL DEFAULT 1,  -- how often late data changed what it held; never the decision
    revised_n bigint,                     -- what late data made of n and value
    revised_value double precision,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (monitor_id, chart_no, start_at)
);
