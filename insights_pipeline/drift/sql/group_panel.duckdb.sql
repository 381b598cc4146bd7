-- Follows `group_series`. The columns of `panel`.
SELECT
    date,
    intent_id,
    slice,
    metric,
    sum(n)::BIGINT AS n,
    sum(n_valid)::BIGINT AS n_valid,
    sum(n_pos)::BIGINT AS n_pos,
    sum(k)::BIGINT AS k,
    sum(sum)::DOUBLE AS sum,
    sum(sumsq)::DOUBLE AS sumsq,
    sum(slog)::DOUBLE AS slog,
    sum(slog2)::DOUBLE AS slog2,
    NULL::DOUBLE AS p95
FROM known
JOIN enough USING (intent_id, slice)
GROUP BY date, intent_id, slice, metric
ORDER BY date, intent_id, slice, metric
