-- The rollups of some days without their lists, and the p95 of latency: the middle of the log-histogram bin that holds
-- rank .95 (n − 1), zeros counted first.
WITH wanted AS (
    SELECT *
    FROM intent_rollups
    WHERE list_contains($reserved::VARCHAR[], intent_id) = $of_reserved
),
bins AS (
    SELECT date, intent_id, metric, n_valid, n_valid - n_pos AS zeros, unnest(histogram, recursive := true)
    FROM wanted
    WHERE metric = 'latency_ms'
),
running AS (
    SELECT
        *,
        zeros + sum("count") OVER (PARTITION BY date, intent_id, metric ORDER BY bin) AS upto
    FROM bins
),
quantiles AS (
    SELECT date, intent_id, metric, min(bin) FILTER (upto > 0.95 * (n_valid - 1)) AS bin
    FROM running
    GROUP BY date, intent_id, metric
)
SELECT
    w.date,
    w.intent_id,
    w.metric,
    w.n,
    w.n_valid,
    w.n_pos,
    w.k,
    w.slog::DOUBLE AS slog,
    w.slog2::DOUBLE AS slog2,
    2 * pow($gamma, q.bin) / ($gamma + 1) AS p95
FROM wanted w
LEFT JOIN quantiles q ON q.date = w.date AND q.intent_id = w.intent_id AND q.metric = w.metric
ORDER BY w.date, w.intent_id, w.metric
