-- Traces with something to understand (a letter of any script, as text.has_text), per day.
SELECT date, count(*) AS texts
FROM traces
WHERE NOT coalesce(is_evaluation, false) AND regexp_matches(left(user_text, 2000), '\pL')
GROUP BY date
ORDER BY date
