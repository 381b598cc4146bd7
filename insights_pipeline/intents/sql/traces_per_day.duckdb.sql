SELECT date, count(*) AS traces
FROM traces
WHERE NOT coalesce(is_evaluation, false)
GROUP BY date
ORDER BY date
