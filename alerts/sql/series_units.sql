-- One row is one window and feature (where asked for): closed sessions, and how many of those that could have had it did
-- what a rate counts; votes are those of requests without a session too. The bits are those of traces.behaviour.types.Fact.
-- Takes project_id, starts and ends of the windows (whole hours), and a bit by each name. Stands on the key.
SELECT
    c.place - 1 AS at, {dimensions}
    coalesce(sum(h.n) FILTER (WHERE NOT is_lone), 0)::bigint AS sessions,
    coalesce(sum(h.n) FILTER (WHERE is_over), 0)::bigint AS closed,
    coalesce(sum(h.n) FILTER (WHERE is_over AND can_leave), 0)::bigint AS can_leave,
    coalesce(sum(h.n) FILTER (WHERE is_over AND has_words), 0)::bigint AS has_words,
    coalesce(sum(h.n) FILTER (WHERE is_over AND can_leave AND h.facts & %(abandoned)s <> 0), 0)::bigint AS abandoned,
    coalesce(sum(h.n) FILTER (WHERE is_over AND has_words AND h.facts & %(retried)s <> 0), 0)::bigint AS retried,
    coalesce(sum(h.n) FILTER (WHERE is_over AND has_words AND h.facts & %(corrected)s <> 0), 0)::bigint AS corrected,
    coalesce(sum(h.n) FILTER (WHERE is_over AND has_words AND h.facts & %(escalated)s <> 0), 0)::bigint AS escalated,
    coalesce(sum(h.n) FILTER (WHERE is_over AND h.facts & %(completed)s <> 0), 0)::bigint AS completed,
    coalesce(sum(h.n) FILTER (WHERE h.is_closed), 0)::bigint AS units,
    coalesce(sum(h.n) FILTER (WHERE h.is_closed AND h.vote <> 0), 0)::bigint AS votes,
    coalesce(sum(h.n) FILTER (WHERE h.is_closed AND h.vote < 0), 0)::bigint AS downs
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT
        h.*, h.facts & %(lone)s <> 0 AS is_lone, h.is_closed AND h.facts & %(lone)s = 0 AS is_over,
        h.facts & %(wordless)s = 0 AS has_words, h.facts & %(single_shot)s = 0 AND h.stratum <> 0 AS can_leave
    FROM traces_behaviour_hour AS h
    WHERE h.project_id = %(project_id)s AND h.hour >= c.s AND h.hour < c.e
) AS h
GROUP BY c.place {groups}
