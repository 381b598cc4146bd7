-- What rollups are made of: the traces that people caused, the intent each is in, their tools, and the names of scores.
WITH traffic AS MATERIALIZED (
    SELECT
        t.date,
        -- NULL: no model judged the trace, so it counts in "all" only
        CASE WHEN i.model_version IS NOT NULL THEN coalesce(i.intent_id, 'unknown') END AS intent_id,
        t.latency_ms,
        t.ttft_ms,
        t.cost_usd,
        t.total_tokens::DOUBLE AS total_tokens,
        t.step_count::DOUBLE AS step_count,
        t.output_chars::DOUBLE AS output_chars,
        t.is_error,
        len(t.tool_calls) > 0 AS uses_tools,
        -- sorted, so that traces with the same calls are looked at once
        list_sort(list_transform(t.tool_calls, lambda tool : coalesce(tool, '(unnamed)'))) AS tool_calls,
        CASE WHEN cardinality(t.feedback) > 0 THEN t.feedback END AS feedback,
        t.primary_model AS model,
        t.tenant_id AS tenant,
        t.environment,
        t.service,
        t.release,
        t.prompt
    FROM traces t
    LEFT JOIN trace_intents i ON i.date = t.date AND i.trace_id = t.trace_id
    WHERE NOT coalesce(t.is_evaluation, false)
),
patterns AS MATERIALIZED (
    SELECT row_number() OVER () AS pattern, date, tool_calls, n
    FROM (SELECT date, tool_calls, count(*) AS n FROM traffic WHERE tool_calls IS NOT NULL GROUP BY date, tool_calls)
),
-- the calls of a trace sum to 1, and a trace without one counts under a name of its own
tools_of AS MATERIALIZED (
    SELECT
        date,
        pattern,
        name,
        CASE WHEN total = 0 THEN 0 ELSE count(*) END AS calls,
        round(count(*) / greatest(total, 1), 9)::DECIMAL(18, 9) AS share
    FROM (
        SELECT
            date,
            pattern,
            len(tool_calls) AS total,
            unnest(CASE WHEN len(tool_calls) = 0 THEN ['(none)'] ELSE tool_calls END) AS name
        FROM patterns
    )
    GROUP BY date, pattern, name, total
),
-- Names are the text of strangers: without control characters, short, the commonest of a day. Those that then are the
-- same are one score.
score_names AS MATERIALIZED (
    SELECT date, key, name
    FROM (
        SELECT date, key, name, sum(n) OVER (PARTITION BY date, name) AS scores
        FROM (
            SELECT
                date,
                key,
                count(*) AS n,
                trim(left(trim(regexp_replace(key, '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+', ' ', 'g')), $name_chars)) AS name
            FROM (SELECT date, unnest(map_entries(feedback), recursive := true) FROM traffic)
            WHERE value BETWEEN -1e11 AND 1e11
            GROUP BY date, key
        )
        WHERE name != ''
    )
    QUALIFY dense_rank() OVER (PARTITION BY date ORDER BY scores DESC, name) <= $names
),
