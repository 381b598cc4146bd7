-- Follows `contents`. Sorted so that like compresses with like and a reader of one trace skips row groups.
SELECT *
FROM whole
WHERE date BETWEEN $first AND $last
ORDER BY date, trace_id, start_ns, span_id
