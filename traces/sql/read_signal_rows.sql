-- One row per signal of a list, in the order asked for. {columns} are those of traces.read.signal_list, {conditions}
-- those of its filter, {order} by when it happened with the signal's id behind it: on traces_signal_newest, or with one
-- kind on traces_signal_kind; those about a trace, a session, of a unit or an author on the index of that.
SELECT {columns}
FROM traces_signal AS t
WHERE {conditions}
ORDER BY {order}
LIMIT %(limit)s
