SELECT date, intent_id, metric, n, n_valid, n_pos, sum::DOUBLE AS sum, histogram
FROM intent_rollups
WHERE metric IN ('latency_ms', 'cost_usd', 'step_count', 'output_chars')
ORDER BY date, intent_id, metric
