-- Up to five traces of an item's window that show its change best; ties by time, then id, so the answer is one.
WITH members AS (
    SELECT intent_id, target FROM lineage WHERE target != intent_id
    UNION
    SELECT intent_id, intent_id AS target FROM wanted
),
candidates AS (
    SELECT
        w.item_id,
        t.trace_id,
        t.start_ns,
        CASE w.metric
            WHEN 'latency_ms' THEN t.latency_ms
            WHEN 'latency_p95_ms' THEN t.latency_ms
            WHEN 'cost_usd' THEN t.cost_usd
            WHEN 'step_count' THEN t.step_count::DOUBLE
            WHEN 'output_chars' THEN t.output_chars::DOUBLE
            WHEN 'error_rate' THEN t.is_error::INTEGER::DOUBLE
            WHEN 'tool_mix' THEN CASE
                WHEN t.tool_calls IS NULL THEN NULL
                WHEN w.tool = '(none)' THEN (len(t.tool_calls) = 0)::INTEGER::DOUBLE
                ELSE len(list_filter(t.tool_calls, lambda tool : coalesce(tool, '(unnamed)') = w.tool))::DOUBLE
                    / greatest(len(t.tool_calls), 1)
            END
            ELSE 0.0
        END * CASE w.direction WHEN 'down' THEN -1 ELSE 1 END AS weight
    FROM wanted w
    JOIN members m ON m.target = w.intent_id
    JOIN trace_intents i ON i.intent_id = m.intent_id AND i.date BETWEEN w.first AND w.last
    JOIN traces t ON t.date = i.date AND t.trace_id = i.trace_id
    WHERE NOT coalesce(t.is_evaluation, false)
),
ranked AS (
    SELECT
        item_id,
        trace_id,
        row_number() OVER (PARTITION BY item_id ORDER BY weight DESC, start_ns DESC, trace_id) AS place
    FROM candidates
    WHERE weight IS NOT NULL
)
SELECT item_id, list(trace_id ORDER BY place) AS trace_ids
FROM ranked
WHERE place <= $most
GROUP BY item_id
ORDER BY item_id
