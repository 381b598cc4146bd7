-- The traces of some days that show an item best, those of its carrier first; ties by time, then id, so the answer is
-- one. `rank`: the highest value, the lowest, or the nearest to `typical`.
WITH traffic AS (
    SELECT
        t.*,
        -- NULL: no model judged the trace, so it counts in "all" only
        CASE WHEN i.model_version IS NOT NULL THEN coalesce(l.target, i.intent_id, 'unknown') END AS intent_id
    FROM traces t
    LEFT JOIN trace_intents i ON i.date = t.date AND i.trace_id = t.trace_id
    LEFT JOIN lineage l ON l.intent_id = i.intent_id
    WHERE NOT coalesce(t.is_evaluation, false)
),
candidates AS (
    SELECT
        w.item_id,
        w.rank,
        w.typical,
        t.trace_id,
        t.start_ns,
        CASE
            WHEN w.metric IN ('latency_ms', 'latency_p95_ms') THEN t.latency_ms
            WHEN w.metric = 'ttft_ms' THEN t.ttft_ms
            WHEN w.metric = 'cost_usd' THEN t.cost_usd
            WHEN w.metric = 'total_tokens' THEN t.total_tokens::DOUBLE
            WHEN w.metric = 'step_count' THEN t.step_count::DOUBLE
            WHEN w.metric = 'output_chars' THEN t.output_chars::DOUBLE
            WHEN w.metric = 'error_rate' THEN t.is_error::INTEGER::DOUBLE
            WHEN w.metric = 'tool_mix' AND w.tool = '(none)' THEN (len(t.tool_calls) = 0)::INTEGER::DOUBLE
            WHEN w.metric = 'tool_mix'
                THEN len(list_filter(t.tool_calls, lambda tool : coalesce(tool, '(unnamed)') = w.tool))::DOUBLE
                    / greatest(len(t.tool_calls), 1)
            WHEN w.score IS NOT NULL THEN list_extract(
                list_filter(
                    map_entries(t.feedback),
                    lambda entry : trim(left(trim(
                        regexp_replace(entry.key, '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+', ' ', 'g')
                    ), 80)) = w.score
                ),
                1
            ).value
            ELSE 0.0
        END AS measured,
        CASE w.dimension
            WHEN 'model' THEN [coalesce(t.primary_model, '(none)')]
            WHEN 'tenant' THEN [coalesce(t.tenant_id, '(none)')]
            WHEN 'environment' THEN [coalesce(t.environment, '(none)')]
            WHEN 'service' THEN [coalesce(t.service, '(none)')]
            WHEN 'release' THEN [coalesce(t.release, '(none)')]
            WHEN 'prompt' THEN [coalesce(t.prompt, '(none)')]
            WHEN 'intent' THEN [t.intent_id]
            WHEN 'tool' THEN CASE
                WHEN len(t.tool_calls) = 0 THEN ['(none)']
                ELSE list_transform(t.tool_calls, lambda tool : coalesce(tool, '(unnamed)'))
            END
        END AS places
    FROM wanted w
    JOIN traffic t ON t.date BETWEEN w.first AND w.last AND (w.intent_id = 'all' OR t.intent_id = w.intent_id)
),
placed AS (
    SELECT
        c.* EXCLUDE (places),
        -- rollups keep names short and without control characters
        list_contains(c.places, w.value)
        OR len(list_filter(c.places, lambda place : trim(left(trim(
            regexp_replace(place, '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+', ' ', 'g')
        ), greatest(length(w.value), $shortest))) = w.value)) > 0 AS inside,
        w.only_inside
    FROM candidates c
    JOIN wanted w ON w.item_id = c.item_id
),
ranked AS (
    SELECT
        item_id,
        trace_id,
        row_number() OVER (
            PARTITION BY item_id
            ORDER BY
                coalesce(inside, false) DESC,
                CASE
                    WHEN rank = 'high' THEN measured
                    WHEN rank = 'low' THEN -measured
                    WHEN measured > 0 AND typical > 0 THEN -abs(ln(measured) - ln(typical))
                    ELSE -abs(measured - typical)
                END DESC NULLS LAST,
                start_ns DESC,
                trace_id
        ) AS place
    FROM placed
    WHERE measured IS NOT NULL AND (coalesce(inside, false) OR NOT only_inside)
)
SELECT item_id, list(trace_id ORDER BY place) AS trace_ids
FROM ranked
WHERE place <= $most
GROUP BY item_id
ORDER BY item_id
