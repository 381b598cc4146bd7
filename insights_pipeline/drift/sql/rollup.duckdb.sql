-- Additive statistics per (date, intent, metric). Sums are DECIMAL and counts are integers, so two halves of a day add
-- up to the day and the number of threads cannot show. Traces are first folded into log-histogram bins (DDSketch
-- mapping: bin = ceil(ln x / ln gamma)), which makes "all" a sum of small partial rows instead of a second pass.
WITH traffic AS (
    SELECT
        t.date,
        t.trace_id,
        t.latency_ms,
        t.cost_usd,
        t.step_count::DOUBLE AS step_count,
        t.output_chars::DOUBLE AS output_chars,
        t.is_error,
        t.tool_calls,
        -- NULL: no model judged the trace, so it counts in "all" only
        CASE WHEN i.model_version IS NOT NULL THEN coalesce(i.intent_id, 'unknown') END AS intent_id
    FROM traces t
    LEFT JOIN trace_intents i ON i.date = t.date AND i.trace_id = t.trace_id
    WHERE NOT coalesce(t.is_evaluation, false)
),
measured AS (
    SELECT
        date,
        intent_id,
        unnest(['latency_ms', 'cost_usd', 'step_count', 'output_chars']) AS metric,
        unnest([latency_ms, cost_usd, step_count, output_chars]) AS value
    FROM traffic
),
logged AS (
    SELECT
        date,
        intent_id,
        metric,
        -- also not NaN nor infinite; beyond 1e11 (three years of ms) no value is true, and squares overflow the sums
        CASE WHEN value BETWEEN -1e11 AND 1e11 THEN value END AS x,
        CASE WHEN x > 0 THEN ln(x) END AS l
    FROM measured
),
binned AS (
    SELECT
        date,
        intent_id,
        metric,
        ceil(l / ln($gamma))::INTEGER AS bin,
        count(*) AS n,
        count(x) AS n_valid,
        count(l) AS n_pos,
        sum(round(x, 9)::DECIMAL(38, 9)) AS sum,
        sum(round(x * x, 9)::DECIMAL(38, 9)) AS sumsq,
        sum(round(l, 9)::DECIMAL(38, 9)) AS slog,
        sum(round(l * l, 9)::DECIMAL(38, 9)) AS slog2,
        min(x) AS min,
        max(x) AS max
    FROM logged
    GROUP BY date, intent_id, metric, bin
),
series AS (
    SELECT * FROM binned WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT
        date, 'all', metric, bin, sum(n), sum(n_valid), sum(n_pos), sum(sum), sum(sumsq), sum(slog), sum(slog2),
        min(min), max(max)
    FROM binned
    GROUP BY date, metric, bin
),
numeric_metrics AS (
    SELECT
        date,
        intent_id,
        metric,
        sum(n)::BIGINT AS n,
        sum(n_valid)::BIGINT AS n_valid,
        sum(n_pos)::BIGINT AS n_pos,
        NULL::BIGINT AS k,
        sum(sum) AS sum,
        sum(sumsq) AS sumsq,
        sum(slog) AS slog,
        sum(slog2) AS slog2,
        min(min) AS min,
        max(max) AS max,
        list({'bin': bin, 'count': n_pos::BIGINT} ORDER BY bin) FILTER (bin IS NOT NULL) AS histogram,
        NULL::STRUCT(name VARCHAR, share DECIMAL(38, 9), calls BIGINT)[] AS shares
    FROM series
    GROUP BY date, intent_id, metric
),
errors AS (
    SELECT
        date,
        intent_id,
        count(*) AS n,
        count(is_error) AS n_valid,
        count(*) FILTER (is_error) AS k
    FROM traffic
    GROUP BY date, intent_id
),
error_series AS (
    SELECT * FROM errors WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT date, 'all', sum(n), sum(n_valid), sum(k) FROM errors GROUP BY date
),
trace_tools AS (
    SELECT
        date,
        intent_id,
        trace_id,
        -- a list may be empty, and a tool may have no name
        unnest(CASE WHEN len(tool_calls) = 0 THEN ['(none)'] ELSE tool_calls END) AS name,
        len(tool_calls) AS total
    FROM traffic
    WHERE tool_calls IS NOT NULL
),
trace_shares AS (
    SELECT
        date,
        intent_id,
        trace_id,
        coalesce(name, '(unnamed)') AS name,
        CASE WHEN total = 0 THEN 0 ELSE count(*) END AS calls,
        round(count(*) / greatest(total, 1), 9)::DECIMAL(38, 9) AS share
    FROM trace_tools
    GROUP BY date, intent_id, trace_id, coalesce(name, '(unnamed)'), total
),
shares AS (
    SELECT date, intent_id, name, sum(share) AS share, sum(calls) AS calls
    FROM trace_shares
    GROUP BY date, intent_id, name
),
share_series AS (
    SELECT * FROM shares WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT date, 'all', name, sum(share), sum(calls) FROM shares GROUP BY date, name
),
mixes AS (
    SELECT
        date,
        intent_id,
        list({'name': name, 'share': share, 'calls': calls::BIGINT} ORDER BY name) AS shares
    FROM share_series
    GROUP BY date, intent_id
),
known_tools AS (
    SELECT date, intent_id, count(*) AS n, count(tool_calls) AS n_valid, count(*) FILTER (len(tool_calls) > 0) AS n_pos
    FROM traffic
    GROUP BY date, intent_id
),
known_tool_series AS (
    SELECT * FROM known_tools WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT date, 'all', sum(n), sum(n_valid), sum(n_pos) FROM known_tools GROUP BY date
)
SELECT * FROM (
    SELECT * FROM numeric_metrics
    UNION ALL BY NAME
    SELECT
        date, intent_id, 'error_rate' AS metric, n::BIGINT AS n, n_valid::BIGINT AS n_valid, k::BIGINT AS n_pos,
        k::BIGINT AS k
    FROM error_series
    UNION ALL BY NAME
    SELECT
        t.date, t.intent_id, 'tool_mix' AS metric, t.n::BIGINT AS n, t.n_valid::BIGINT AS n_valid,
        t.n_pos::BIGINT AS n_pos, m.shares
    FROM known_tool_series t
    LEFT JOIN mixes m ON m.date = t.date AND m.intent_id = t.intent_id
)
ORDER BY date, intent_id, metric
