-- Keys (trace and span id) at the given shares of the records, from a sample of the spans (of all when few).
SELECT DISTINCT unnest(quantile_disc(concat(trace_id, span_id), $shares)) AS cut
FROM span_contents
WHERE hash(trace_id, span_id) % 16 = 0
ORDER BY cut
