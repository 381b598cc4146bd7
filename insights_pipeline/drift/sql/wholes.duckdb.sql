-- Daily sums of the wanted intents as a whole, and under "all" those of every intent: what slices are parts of. Merged
-- intents count for their target.
WITH known AS (
    SELECT r.* REPLACE (coalesce(l.target, r.intent_id) AS intent_id)
    FROM intent_rollups r
    LEFT JOIN lineage l ON l.intent_id = r.intent_id
    WHERE r.date >= coalesce(l.since, r.date) AND r.metric IN (SELECT unnest($metrics))
),
placed AS (
    SELECT k.* REPLACE (w.intent_id AS intent_id), NULL::VARCHAR AS value
    FROM known k
    JOIN wanted w ON w.intent_id = k.intent_id
    UNION ALL BY NAME
    SELECT k.* REPLACE ('all' AS intent_id), k.intent_id AS value
    FROM known k
    WHERE k.intent_id != 'all' AND 'all' IN (SELECT intent_id FROM wanted)
),
summed AS (
    SELECT
        date,
        intent_id,
        metric,
        value,
        sum(n)::BIGINT AS n,
        sum(n_valid)::BIGINT AS n_valid,
        sum(n_pos)::BIGINT AS n_pos,
        sum(k)::BIGINT AS k,
        sum(sum)::DOUBLE AS sum,
        sum(sumsq)::DOUBLE AS sumsq,
        sum(slog)::DOUBLE AS slog,
        sum(slog2)::DOUBLE AS slog2
    FROM placed
    GROUP BY date, intent_id, metric, value
),
mixes AS (
    SELECT date, intent_id, 'tool_mix' AS metric, coalesce(value, '') AS part, list({'name': name, 'share': share}) AS shares
    FROM (
        SELECT date, intent_id, value, entry.name AS name, sum(entry.share)::DOUBLE AS share
        FROM (SELECT date, intent_id, value, unnest(shares) AS entry FROM placed WHERE metric = 'tool_mix')
        GROUP BY date, intent_id, value, name
    )
    GROUP BY date, intent_id, value
)
SELECT s.*, m.shares
FROM summed s
-- equalities only: any other condition makes the join a loop over all pairs
LEFT JOIN mixes m
    ON m.date = s.date AND m.intent_id = s.intent_id AND m.metric = s.metric AND m.part = coalesce(s.value, '')
ORDER BY s.intent_id, s.metric, s.value, s.date
