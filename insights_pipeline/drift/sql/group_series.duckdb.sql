-- Slices that are series of their own: of the values that were among a day's largest on one of the days. What is in no
-- value or in a small one is no group; it counts in the whole. Which of these are tested on a day, `Panel.ending` says.
WITH ranked AS (
    SELECT
        dimension,
        value,
        row_number() OVER (PARTITION BY date, dimension ORDER BY n DESC, value) AS place
    FROM slice_rollups
    WHERE intent_id = 'all'
        AND metric = 'error_rate'
        AND dimension IN (SELECT unnest($groups))
        AND value NOT IN ('(none)', '(other)')
),
known AS (
    SELECT
        r.* EXCLUDE (dimension, value) REPLACE (coalesce(l.target, r.intent_id) AS intent_id),
        r.dimension || '=' || r.value AS slice
    FROM slice_rollups r
    JOIN (SELECT DISTINCT dimension, value FROM ranked WHERE place <= $most) AS kept
        ON kept.dimension = r.dimension AND kept.value = r.value
    LEFT JOIN lineage l ON l.intent_id = r.intent_id
    WHERE r.date >= coalesce(l.since, r.date)
),
-- too few on all the days are too few on some of them; all traffic of a value tells how large it is beside others
enough AS (
    SELECT intent_id, slice
    FROM known
    WHERE metric = 'error_rate'
    GROUP BY intent_id, slice
    HAVING sum(n) >= $least OR intent_id = 'all'
)
