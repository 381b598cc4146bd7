-- Traces with their vector of the space, in no order; where none is stored, with the text instead.
-- Two joins of ids, through which vectors and texts only pass: a join that holds them would need memory for a whole day.
SELECT embeddings.date, embeddings.trace_id, embeddings.vector, NULL::VARCHAR AS user_text
FROM embeddings
SEMI JOIN (SELECT date, trace_id FROM traces WHERE NOT coalesce(is_evaluation, false)) AS asked
    ON asked.date = embeddings.date AND asked.trace_id = embeddings.trace_id
WHERE embeddings.space = $space AND embeddings.vector IS NOT NULL
UNION ALL
SELECT traces.date, traces.trace_id, NULL::BLOB AS vector, left(traces.user_text, 4000) AS user_text
FROM traces
ANTI JOIN (SELECT date, trace_id FROM embeddings WHERE space = $space AND vector IS NOT NULL) AS stored
    ON stored.date = traces.date AND stored.trace_id = traces.trace_id
WHERE NOT coalesce(traces.is_evaluation, false)
