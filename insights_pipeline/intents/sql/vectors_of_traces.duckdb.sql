-- One of $parts parts of the traces, with vectors where there are any; the text only where the vector is missing.
SELECT
    traces.date,
    traces.trace_id,
    embeddings.vector,
    CASE WHEN embeddings.vector IS NULL THEN left(traces.user_text, 4000) END AS user_text
FROM traces
LEFT JOIN embeddings
    ON embeddings.date = traces.date AND embeddings.trace_id = traces.trace_id AND embeddings.space = $space
WHERE NOT coalesce(traces.is_evaluation, false) AND ($parts = 1 OR hash(traces.trace_id) % $parts = $part)
ORDER BY traces.date, traces.trace_id
