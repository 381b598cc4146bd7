-- Follows `traffic`, `places`. The sums of `rollup` per (date, intent, metric, dimension, value), without histograms.
-- The values of a dimension partition the traces and add up to the intent; those of "tool" overlap, and have no tool
-- mix. One row a trace here, not one a number: x_ is the value of a metric, l_ its logarithm.
bounded AS NOT MATERIALIZED (
    SELECT
        *,
        CASE WHEN COLUMNS('^(latency_ms|ttft_ms|cost_usd|total_tokens|step_count|output_chars)$') BETWEEN -1e11 AND 1e11
            THEN COLUMNS('^(latency_ms|ttft_ms|cost_usd|total_tokens|step_count|output_chars)$') END AS 'x_\1'
    FROM placed
),
measured AS NOT MATERIALIZED (
    SELECT *, CASE WHEN COLUMNS('^x_(.*)$') > 0 THEN ln(COLUMNS('^x_(.*)$')) END AS 'l_\1'
    FROM bounded
),
wide AS (
    SELECT
        date,
        intent_id,
        model,
        tenant,
        environment,
        service,
        release,
        prompt,
        NULL AS tool,
        count(*) AS n,
        count(is_error) AS judged,
        count(*) FILTER (is_error) AS failed,
        count(uses_tools) AS known,
        count(*) FILTER (uses_tools) AS used,
        count(COLUMNS('^x_(.*)$')) AS 'valid_\1',
        count(COLUMNS('^l_(.*)$')) AS 'pos_\1',
        sum(COLUMNS('^x_(.*)$')::DECIMAL(38, 9)) AS 'sum_\1',
        sum((COLUMNS('^x_(.*)$') * COLUMNS('^x_(.*)$'))::DECIMAL(38, 9)) AS 'sumsq_\1',
        sum(COLUMNS('^l_(.*)$')::DECIMAL(18, 9)) AS 'slog_\1',
        sum((COLUMNS('^l_(.*)$') * COLUMNS('^l_(.*)$'))::DECIMAL(18, 9)) AS 'slog2_\1'
    FROM measured
    GROUP BY GROUPING SETS (
        (date, intent_id, model),
        (date, intent_id, tenant),
        (date, intent_id, environment),
        (date, intent_id, service),
        (date, intent_id, release),
        (date, intent_id, prompt)
    )
    UNION ALL BY NAME
    SELECT
        date,
        intent_id,
        tool,
        count(*) AS n,
        count(is_error) AS judged,
        count(*) FILTER (is_error) AS failed,
        count(COLUMNS('^x_(.*)$')) AS 'valid_\1',
        count(COLUMNS('^l_(.*)$')) AS 'pos_\1',
        sum(COLUMNS('^x_(.*)$')::DECIMAL(38, 9)) AS 'sum_\1',
        sum((COLUMNS('^x_(.*)$') * COLUMNS('^x_(.*)$'))::DECIMAL(38, 9)) AS 'sumsq_\1',
        sum(COLUMNS('^l_(.*)$')::DECIMAL(18, 9)) AS 'slog_\1',
        sum((COLUMNS('^l_(.*)$') * COLUMNS('^l_(.*)$'))::DECIMAL(18, 9)) AS 'slog2_\1'
    FROM measured
    JOIN tools_in USING (pattern)
    GROUP BY date, intent_id, tool
),
scores AS (
    SELECT
        p.date,
        intent_id,
        model,
        tenant,
        environment,
        service,
        release,
        prompt,
        pattern,
        'score:' || s.name AS metric,
        value AS x
    FROM (
        SELECT * EXCLUDE (feedback), unnest(map_entries(feedback), recursive := true)
        FROM placed
        WHERE feedback IS NOT NULL
    ) AS p
    JOIN score_names s ON s.date = p.date AND s.key = p.key
    WHERE value BETWEEN -1e11 AND 1e11
),
scored AS (
    SELECT
        date,
        intent_id,
        metric,
        model,
        tenant,
        environment,
        service,
        release,
        prompt,
        NULL AS tool,
        count(*) AS n_valid,
        count(*) FILTER (x > 0) AS n_pos,
        sum(x::DECIMAL(38, 9)) AS sum,
        sum((x * x)::DECIMAL(38, 9)) AS sumsq
    FROM scores
    GROUP BY GROUPING SETS (
        (date, intent_id, metric, model),
        (date, intent_id, metric, tenant),
        (date, intent_id, metric, environment),
        (date, intent_id, metric, service),
        (date, intent_id, metric, release),
        (date, intent_id, metric, prompt)
    )
    UNION ALL BY NAME
    SELECT
        date,
        intent_id,
        metric,
        tool,
        count(*) AS n_valid,
        count(*) FILTER (x > 0) AS n_pos,
        sum(x::DECIMAL(38, 9)) AS sum,
        sum((x * x)::DECIMAL(38, 9)) AS sumsq
    FROM scores
    JOIN tools_in USING (pattern)
    GROUP BY date, intent_id, metric, tool
),
sums AS (
    SELECT * FROM wide
    UNPIVOT INCLUDE NULLS (
        (n_valid, n_pos, sum, sumsq, slog, slog2) FOR metric IN (
            (valid_latency_ms, pos_latency_ms, sum_latency_ms, sumsq_latency_ms, slog_latency_ms, slog2_latency_ms)
                AS 'latency_ms',
            (valid_ttft_ms, pos_ttft_ms, sum_ttft_ms, sumsq_ttft_ms, slog_ttft_ms, slog2_ttft_ms) AS 'ttft_ms',
            (valid_cost_usd, pos_cost_usd, sum_cost_usd, sumsq_cost_usd, slog_cost_usd, slog2_cost_usd) AS 'cost_usd',
            (
                valid_total_tokens, pos_total_tokens, sum_total_tokens, sumsq_total_tokens, slog_total_tokens,
                slog2_total_tokens
            ) AS 'total_tokens',
            (valid_step_count, pos_step_count, sum_step_count, sumsq_step_count, slog_step_count, slog2_step_count)
                AS 'step_count',
            (
                valid_output_chars, pos_output_chars, sum_output_chars, sumsq_output_chars, slog_output_chars,
                slog2_output_chars
            ) AS 'output_chars'
        )
    )
    UNION ALL BY NAME
    SELECT * FROM scored
    UNION ALL BY NAME
    SELECT *, 'error_rate' AS metric, judged AS n_valid, failed AS n_pos FROM wide
    UNION ALL BY NAME
    SELECT *, 'tool_mix' AS metric, known AS n_valid, used AS n_pos FROM wide WHERE tool IS NULL
),
series AS (
    SELECT
        date,
        intent_id,
        metric,
        CASE
            WHEN model IS NOT NULL THEN 'model'
            WHEN tenant IS NOT NULL THEN 'tenant'
            WHEN environment IS NOT NULL THEN 'environment'
            WHEN service IS NOT NULL THEN 'service'
            WHEN release IS NOT NULL THEN 'release'
            WHEN prompt IS NOT NULL THEN 'prompt'
            WHEN tool IS NOT NULL THEN 'tool'
        END AS dimension,
        coalesce(model, tenant, environment, service, release, prompt, tool) AS value,
        n,
        n_valid,
        n_pos,
        sum,
        sumsq,
        slog,
        slog2
    FROM sums
    WHERE dimension IS NOT NULL
),
slices AS (
    SELECT * FROM series WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT
        date, 'all', metric, dimension, value, sum(n), sum(n_valid), sum(n_pos), sum(sum), sum(sumsq), sum(slog),
        sum(slog2)
    FROM series
    GROUP BY date, metric, dimension, value
),
shares AS (
    SELECT
        p.date,
        p.intent_id,
        p.model,
        p.tenant,
        p.environment,
        p.service,
        p.release,
        p.prompt,
        u.name,
        sum(u.share) AS share,
        sum(u.calls) AS calls
    FROM placed p
    JOIN tools_of u ON u.pattern = p.pattern
    GROUP BY GROUPING SETS (
        (p.date, p.intent_id, u.name, p.model),
        (p.date, p.intent_id, u.name, p.tenant),
        (p.date, p.intent_id, u.name, p.environment),
        (p.date, p.intent_id, u.name, p.service),
        (p.date, p.intent_id, u.name, p.release),
        (p.date, p.intent_id, u.name, p.prompt)
    )
),
share_series AS (
    SELECT
        date,
        intent_id,
        CASE
            WHEN model IS NOT NULL THEN 'model'
            WHEN tenant IS NOT NULL THEN 'tenant'
            WHEN environment IS NOT NULL THEN 'environment'
            WHEN service IS NOT NULL THEN 'service'
            WHEN release IS NOT NULL THEN 'release'
            WHEN prompt IS NOT NULL THEN 'prompt'
        END AS dimension,
        coalesce(model, tenant, environment, service, release, prompt) AS value,
        name,
        share,
        calls
    FROM shares
    WHERE dimension IS NOT NULL
),
mixes AS (
    SELECT
        date,
        intent_id,
        dimension,
        value,
        'tool_mix' AS metric,
        list_sort(list({'name': name, 'share': share, 'calls': calls::BIGINT})) AS shares
    FROM (
        SELECT * FROM share_series WHERE intent_id IS NOT NULL
        UNION ALL
        SELECT date, 'all', dimension, value, name, sum(share), sum(calls)
        FROM share_series
        GROUP BY date, dimension, value, name
    )
    GROUP BY date, intent_id, dimension, value
),
written AS (
    -- of a score only the traces that have it came by
    SELECT * REPLACE (max(n) OVER (PARTITION BY date, intent_id, dimension, value) AS n)
    FROM slices
    -- what no trace of the intent reports needs no rows
    QUALIFY metric = 'error_rate' OR sum(n_valid) OVER (PARTITION BY date, intent_id, metric, dimension) > 0
)
SELECT
    w.date,
    w.intent_id,
    w.metric,
    w.dimension,
    w.value,
    w.n::BIGINT AS n,
    w.n_valid::BIGINT AS n_valid,
    w.n_pos::BIGINT AS n_pos,
    CASE WHEN w.metric = 'error_rate' THEN w.n_pos::BIGINT END AS k,
    w.sum,
    w.sumsq,
    w.slog,
    w.slog2,
    m.shares
FROM written w
LEFT JOIN mixes m USING (date, intent_id, dimension, value, metric)
ORDER BY w.date, w.intent_id, w.metric, w.dimension, w.value
