-- Of each day and metric: how many series were tested, learning, without data, or not comparable; and what could
-- have been found. A series that was tested over one horizon was watched, whatever the others say; but one whose last
-- week cannot be compared, since the share of traces that tell the metric moved, is not watched by its quiet month.
WITH series AS (
    SELECT
        date,
        metric,
        intent_id,
        slice,
        bool_or(verdict IN ('quiet', 'drift')) AS tested,
        bool_or(verdict = 'learning') AS learning,
        bool_or(
            coalesce(contains(explanation, '"suppressed"'), false)
            AND verdict = 'no_data' AND horizon IN ('7d', 'week', 'month')
        ) AS coverage_moved,
        bool_or(verdict = 'no_data') AS no_data,
        median(smallest_detectable) FILTER (WHERE horizon IN ('7d', 'week', 'month')) AS detectable
    FROM observations
    GROUP BY date, metric, intent_id, slice
)

SELECT
    date,
    metric,
    count(*) FILTER (WHERE tested AND NOT coverage_moved) AS tested,
    count(*) FILTER (WHERE learning AND NOT coverage_moved AND NOT tested) AS learning,
    count(*) FILTER (WHERE coverage_moved) AS coverage_moved,
    count(*) FILTER (WHERE no_data AND NOT coverage_moved AND NOT learning AND NOT tested) AS no_data,
    count(*) FILTER (WHERE tested AND slice IS NULL AND intent_id NOT IN ('all', 'unknown')) AS eligible,
    median(detectable) FILTER (WHERE tested AND slice IS NULL AND intent_id NOT IN ('all', 'unknown')) AS detectable
FROM series
GROUP BY date, metric
ORDER BY date, metric
