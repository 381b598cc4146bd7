-- The rollups of some days without their lists, and the p95 of latency: the middle of the log-histogram bin that holds
-- rank .95 (n − 1), zeros counted first. Rollups add up: those of a merged intent are its target's.
WITH known AS (
    SELECT r.* REPLACE (coalesce(l.target, r.intent_id) AS intent_id)
    FROM intent_rollups r
    LEFT JOIN lineage l ON l.intent_id = r.intent_id
    WHERE r.date >= coalesce(l.since, r.date)
),
wanted AS (
    SELECT
        date,
        intent_id,
        metric,
        sum(n)::BIGINT AS n,
        sum(n_valid)::BIGINT AS n_valid,
        sum(n_pos)::BIGINT AS n_pos,
        sum(k)::BIGINT AS k,
        sum(sum) AS sum,
        sum(sumsq) AS sumsq,
        sum(slog) AS slog,
        sum(slog2) AS slog2
    FROM known
    GROUP BY date, intent_id, metric
),
entries AS (
    SELECT date, intent_id, metric, unnest(histogram, recursive := true)
    FROM known
    WHERE metric = 'latency_ms'
),
bins AS (
    SELECT date, intent_id, metric, bin, sum("count") AS "count"
    FROM entries
    GROUP BY date, intent_id, metric, bin
),
running AS (
    SELECT
        b.*,
        w.n_valid,
        w.n_valid - w.n_pos + sum(b."count") OVER (PARTITION BY date, intent_id, metric ORDER BY b.bin) AS upto
    FROM bins b
    JOIN wanted w USING (date, intent_id, metric)
),
quantiles AS (
    SELECT date, intent_id, metric, min(bin) FILTER (upto > 0.95 * (n_valid - 1)) AS bin
    FROM running
    GROUP BY date, intent_id, metric
)
SELECT
    w.date,
    w.intent_id,
    NULL::VARCHAR AS slice,
    w.metric,
    w.n,
    w.n_valid,
    w.n_pos,
    w.k,
    w.sum::DOUBLE AS sum,
    w.sumsq::DOUBLE AS sumsq,
    w.slog::DOUBLE AS slog,
    w.slog2::DOUBLE AS slog2,
    2 * pow($gamma, q.bin) / ($gamma + 1) AS p95
FROM wanted w
LEFT JOIN quantiles q ON q.date = w.date AND q.intent_id = w.intent_id AND q.metric = w.metric
ORDER BY w.date, w.intent_id, w.metric
