-- Which trace each score judges and the first day of that trace; scores that are not found are left out, and so are
-- those whose trace is there on the first day that was looked at: it may have begun before.
WITH judged AS (
    -- a trace that is named is that trace, whatever else the score says
    SELECT place, trace_id, at_ns
    FROM scores
    WHERE trace_id IS NOT NULL
    UNION ALL
    SELECT scores.place, arg_max(spans.trace_id, spans.start_ns), any_value(scores.at_ns)
    FROM scores JOIN spans USING (span_id)
    WHERE scores.trace_id IS NULL AND scores.span_id IS NOT NULL
        AND spans.date BETWEEN scores.day - $days AND scores.day + 1
    GROUP BY scores.place
    UNION ALL
    -- the newest trace of the session that had begun; of two that began at once, always the same one
    SELECT scores.place, max_by(spans.trace_id, (spans.start_ns, spans.trace_id)), any_value(scores.at_ns)
    FROM scores JOIN (
        SELECT session_id, trace_id, date, min(start_ns) AS start_ns
        FROM spans
        WHERE session_id IN (
            SELECT session_id FROM scores WHERE trace_id IS NULL AND span_id IS NULL
        )
        GROUP BY session_id, trace_id, date
    ) AS spans USING (session_id)
    WHERE scores.trace_id IS NULL AND scores.span_id IS NULL
        AND spans.start_ns <= scores.at_ns
        AND spans.date BETWEEN scores.day - $days AND scores.day + 1
    GROUP BY scores.place
)
SELECT judged.place, judged.trace_id, min(spans.date) AS date
FROM judged JOIN scores USING (place) JOIN spans ON spans.trace_id = judged.trace_id
WHERE spans.date BETWEEN scores.day - $days AND scores.day + 1
GROUP BY judged.place, judged.trace_id
HAVING min(spans.date) > any_value(scores.day) - $days
ORDER BY judged.place
