-- Slice rollups of the wanted intents, those of merged intents added to their target's. A day on which nobody named a
-- dimension has no rows of it: if others of the days have, all its traffic is the value (none).
WITH members AS (
    SELECT l.target, l.intent_id, l.since
    FROM lineage l
    JOIN wanted w ON w.intent_id = l.target
    UNION ALL
    SELECT w.intent_id, w.intent_id, NULL
    FROM wanted w
    ANTI JOIN lineage l ON l.intent_id = w.intent_id
),
named AS (
    SELECT DISTINCT date, dimension
    FROM slice_rollups
    WHERE intent_id = 'all' AND metric = 'error_rate'
),
unnamed AS (
    SELECT days.date, dimensions.dimension
    FROM (SELECT DISTINCT date FROM named) AS days
    CROSS JOIN (SELECT DISTINCT dimension FROM named WHERE dimension != 'tool') AS dimensions
    ANTI JOIN named USING (date, dimension)
),
known AS (
    SELECT r.* REPLACE (m.target AS intent_id)
    FROM slice_rollups r
    JOIN members m ON m.intent_id = r.intent_id
    WHERE r.date >= coalesce(m.since, r.date)
        AND r.dimension IN (SELECT unnest($dimensions))
        AND (len($metrics) = 0 OR r.metric = 'error_rate' OR list_contains($metrics, r.metric))
    UNION ALL BY NAME
    SELECT r.* REPLACE (m.target AS intent_id), u.dimension, '(none)' AS value
    FROM intent_rollups r
    JOIN members m ON m.intent_id = r.intent_id
    JOIN unnamed u ON u.date = r.date
    WHERE r.date >= coalesce(m.since, r.date)
        AND (r.n_valid > 0 OR r.metric = 'error_rate')
        AND u.dimension IN (SELECT unnest($dimensions))
        AND (len($metrics) = 0 OR r.metric = 'error_rate' OR list_contains($metrics, r.metric))
),
summed AS (
    SELECT
        date,
        intent_id,
        metric,
        dimension,
        value,
        sum(n)::BIGINT AS n,
        sum(n_valid)::BIGINT AS n_valid,
        sum(n_pos)::BIGINT AS n_pos,
        sum(k)::BIGINT AS k,
        sum(sum)::DOUBLE AS sum,
        sum(sumsq)::DOUBLE AS sumsq,
        sum(slog)::DOUBLE AS slog,
        sum(slog2)::DOUBLE AS slog2
    FROM known
    GROUP BY date, intent_id, metric, dimension, value
),
traces AS (
    SELECT date, intent_id, dimension, value, n FROM summed WHERE metric = 'error_rate'
),
mixes AS (
    SELECT
        date,
        intent_id,
        'tool_mix' AS metric,
        dimension,
        value,
        list_sort(list({'name': name, 'share': share})) AS shares
    FROM (
        SELECT date, intent_id, dimension, value, entry.name AS name, sum(entry.share)::DOUBLE AS share
        FROM (
            SELECT date, intent_id, dimension, value, unnest(shares) AS entry FROM known WHERE metric = 'tool_mix'
        )
        GROUP BY date, intent_id, dimension, value, name
    )
    GROUP BY date, intent_id, dimension, value
)
SELECT
    s.date,
    s.intent_id,
    s.metric,
    s.dimension,
    s.value,
    -- of a merged intent one part may lack the metric, but its traces count
    t.n,
    s.n_valid,
    s.n_pos,
    s.k,
    s.sum,
    s.sumsq,
    s.slog,
    s.slog2,
    m.shares
FROM summed s
JOIN traces t USING (date, intent_id, dimension, value)
LEFT JOIN mixes m USING (date, intent_id, metric, dimension, value)
WHERE len($metrics) = 0 OR list_contains($metrics, s.metric)
ORDER BY s.date, s.intent_id, s.metric, s.dimension, s.value
