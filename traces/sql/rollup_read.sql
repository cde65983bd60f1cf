-- One row per point of time and group: sums over the rows of some segments (rollup_segment), joined to their scopes where
-- dimensions are asked for. Points begin at the edges.
SELECT {at} AS at, {groups} {columns}
FROM ({segments}) AS r
{scopes}
GROUP BY {keys}
