-- Follows `traffic`. Additive statistics per (date, intent, metric). Sums are DECIMAL and counts are integers, so two
-- halves of a day add up to the day and the number of threads cannot show. Traces are first folded into log-histogram
-- bins (DDSketch mapping: bin = ceil(ln x / ln gamma)), which makes "all" a sum of small partial rows instead of a
-- second pass.
measured AS (
    SELECT
        date,
        intent_id,
        unnest(['latency_ms', 'ttft_ms', 'cost_usd', 'total_tokens', 'step_count', 'output_chars']) AS metric,
        unnest([latency_ms, ttft_ms, cost_usd, total_tokens, step_count, output_chars]) AS value,
        true AS is_logged
    FROM traffic
    UNION ALL
    SELECT f.date, f.intent_id, 'score:' || s.name, f.value, false
    FROM (SELECT date, intent_id, unnest(map_entries(feedback), recursive := true) FROM traffic) AS f
    JOIN score_names s ON s.date = f.date AND s.key = f.key
    WHERE f.value BETWEEN -1e11 AND 1e11  -- a trace without the score is no row of it
),
logged AS (
    SELECT
        date,
        intent_id,
        metric,
        -- also not NaN nor infinite; beyond 1e11 (three years of ms) no value is true, and squares overflow the sums
        CASE WHEN value BETWEEN -1e11 AND 1e11 THEN value END AS x,
        -- a score has a scale of its own, which may go below zero
        CASE WHEN is_logged AND x > 0 THEN ln(x) END AS l
    FROM measured
),
binned AS (
    SELECT
        date,
        intent_id,
        metric,
        ceil(l / ln($gamma))::INTEGER AS bin,
        count(x) AS n_valid,
        count(*) FILTER (x > 0) AS n_pos,
        sum(x::DECIMAL(38, 9)) AS sum,
        sum((x * x)::DECIMAL(38, 9)) AS sumsq,
        sum(l::DECIMAL(18, 9)) AS slog,
        sum((l * l)::DECIMAL(18, 9)) AS slog2,
        min(x) AS min,
        max(x) AS max
    FROM logged
    GROUP BY date, intent_id, metric, bin
),
series AS (
    SELECT * FROM binned WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT
        date, 'all', metric, bin, sum(n_valid), sum(n_pos), sum(sum), sum(sumsq), sum(slog), sum(slog2), min(min),
        max(max)
    FROM binned
    GROUP BY date, metric, bin
),
measures AS (
    SELECT
        date,
        intent_id,
        metric,
        sum(n_valid)::BIGINT AS n_valid,
        sum(n_pos)::BIGINT AS n_pos,
        sum(sum) AS sum,
        sum(sumsq) AS sumsq,
        sum(slog) AS slog,
        sum(slog2) AS slog2,
        min(min) AS min,
        max(max) AS max,
        list({'bin': bin, 'count': n_pos::BIGINT} ORDER BY bin) FILTER (bin IS NOT NULL) AS histogram
    FROM series
    GROUP BY date, intent_id, metric
),
shares AS (
    SELECT t.date, t.intent_id, u.name, sum(u.share * t.n)::DECIMAL(38, 9) AS share, sum(u.calls * t.n) AS calls
    FROM (
        -- counted first: a list of calls must not be copied for each tool in it
        SELECT t.date, t.intent_id, p.pattern, count(*) AS n
        FROM traffic t
        JOIN patterns p ON p.date = t.date AND p.tool_calls = t.tool_calls
        GROUP BY t.date, t.intent_id, p.pattern
    ) AS t
    JOIN tools_of u ON u.pattern = t.pattern
    GROUP BY t.date, t.intent_id, u.name
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
        list_sort(list({'name': name, 'share': share, 'calls': calls::BIGINT})) AS shares
    FROM share_series
    GROUP BY date, intent_id
),
counts AS (
    SELECT
        date,
        intent_id,
        count(*) AS n,
        count(is_error) AS judged,
        count(*) FILTER (is_error) AS failed,
        count(tool_calls) AS known,
        count(*) FILTER (uses_tools) AS used
    FROM traffic
    GROUP BY date, intent_id
),
count_series AS (
    SELECT * FROM counts WHERE intent_id IS NOT NULL
    UNION ALL
    SELECT date, 'all', sum(n), sum(judged), sum(failed), sum(known), sum(used) FROM counts GROUP BY date
)
SELECT * FROM (
    SELECT m.*, c.n::BIGINT AS n
    FROM measures m
    JOIN count_series c ON c.date = m.date AND c.intent_id = m.intent_id
    UNION ALL BY NAME
    SELECT
        date, intent_id, 'error_rate' AS metric, n::BIGINT AS n, judged::BIGINT AS n_valid, failed::BIGINT AS n_pos,
        failed::BIGINT AS k
    FROM count_series
    UNION ALL BY NAME
    SELECT
        c.date, c.intent_id, 'tool_mix' AS metric, c.n::BIGINT AS n, c.known::BIGINT AS n_valid,
        c.used::BIGINT AS n_pos, m.shares
    FROM count_series c
    LEFT JOIN mixes m ON m.date = c.date AND m.intent_id = c.intent_id
)
ORDER BY date, intent_id, metric
