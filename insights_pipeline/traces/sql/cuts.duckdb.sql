-- Trace ids at the given shares of the sorted spans, from a sample of the traces (all of the traces when few).
SELECT DISTINCT unnest(quantile_disc(trace_id, $shares)) AS cut
FROM spans
WHERE hash(trace_id) % 16 = 0
ORDER BY cut
