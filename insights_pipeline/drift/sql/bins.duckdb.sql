SELECT
    r.date,
    coalesce(l.target, r.intent_id) AS intent_id,
    r.metric,
    sum(r.n)::BIGINT AS n,
    sum(r.n_valid)::BIGINT AS n_valid,
    sum(r.n_pos)::BIGINT AS n_pos,
    sum(r.sum)::DOUBLE AS sum,
    flatten(list(coalesce(r.histogram, []) ORDER BY r.intent_id)) AS histogram
FROM intent_rollups r
LEFT JOIN lineage l ON l.intent_id = r.intent_id
WHERE r.metric IN ('latency_ms', 'ttft_ms', 'cost_usd', 'total_tokens', 'step_count', 'output_chars')
    AND r.date >= coalesce(l.since, r.date)
GROUP BY r.date, coalesce(l.target, r.intent_id), r.metric
ORDER BY 1, 2, 3
