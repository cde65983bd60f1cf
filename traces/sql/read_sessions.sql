-- One row per session of a list, in the order asked for. {columns} are those of traces.read.sessions, {conditions} those
-- of its filter, {order} one of its sorts with the session's key behind it. By start, last activity, cost, turns,
-- length, one user, errors and unpriced each on its index; other orders sort what the window holds.
SELECT {columns}
FROM traces_session AS t
WHERE {conditions}
ORDER BY {order}
LIMIT %(limit)s
