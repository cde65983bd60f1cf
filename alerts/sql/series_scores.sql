-- One row is one window, judge, name of a score and combination of dimensions: how many scores, their weighted sums, and
-- at most {most} of them in their order, evenly spread, with their weights and times. {rows} gives judge_id, name, the
-- dimensions, y, pi, started_at and a tie of the units in [c.s, c.e); {lows} are weights of scores up to a limit.
-- Sums are in one order, so that they come out the same to the last bit whatever else is read.
-- Takes starts and ends of the windows, and what {rows} takes.
SELECT
    r.at, r.judge_id, r.name, {dimensions}
    count(*)::bigint, sum(r.w ORDER BY r.place), sum(r.w * r.w ORDER BY r.place), sum(r.w * r.y ORDER BY r.place),
    sum(r.w * r.y * r.y ORDER BY r.place), sum(r.w * r.w * r.y ORDER BY r.place),
    sum(r.w * r.w * r.y * r.y ORDER BY r.place), {lows}
    array_agg(r.y ORDER BY r.place) FILTER (WHERE r.is_kept),
    array_agg(r.w ORDER BY r.place) FILTER (WHERE r.is_kept),
    array_agg(extract(epoch FROM r.started_at)::float8 ORDER BY r.place) FILTER (WHERE r.is_kept)
FROM (
    SELECT o.*, o.place * {most} / greatest(o.many, {most}) > (o.place - 1) * {most} / greatest(o.many, {most}) AS is_kept
    FROM (
        SELECT
            c.at, u.*, 1.0::float8 / u.pi AS w,
            row_number() OVER (PARTITION BY c.at, u.judge_id, u.name {partition} ORDER BY u.started_at, u.tie) AS place,
            count(*) OVER (PARTITION BY c.at, u.judge_id, u.name {partition}) AS many
        FROM (
            SELECT place - 1 AS at, s, e
            FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS w (s, e, place)
        ) AS c
        CROSS JOIN LATERAL ({rows}) AS u
    ) AS o
) AS r
GROUP BY r.at, r.judge_id, r.name {groups}
