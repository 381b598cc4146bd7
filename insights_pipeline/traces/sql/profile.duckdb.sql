-- What the expectations judge: one row for each day that has traces.
-- Sources: `traces` of the days; `recent`, the dates of the 35 days before as well; `earlier`, ids and ends of the
-- traces from two days before on; `spans`, ids from the day before on.
WITH
repeats AS (
    SELECT date, sum(copies - 1)::BIGINT AS repeated_ids, min(trace_id) AS repeated_ids_example
    FROM (SELECT date, trace_id, count(*) AS copies FROM traces GROUP BY date, trace_id HAVING count(*) > 1)
    GROUP BY date
),

judged AS (
    SELECT
        date,
        trace_id,
        -- without an end it is unfinished, not early
        coalesce(end_ns < start_ns, start_ns IS NULL) AS ends_early,
        coalesce(date <> DATE '1970-01-01' + (start_ns // 86400000000000)::INTEGER, true) AS on_wrong_day,
        least(prompt_tokens, completion_tokens, cached_tokens, total_tokens) < 0 AS below_zero,
        latency_ms IS NULL AS without_latency,
        user_text IS NULL AS without_user_text,
        llm_calls > 0 AS calls_a_model,
        cost_usd IS NULL AS without_cost,
        primary_model IS NULL AS without_model
    FROM traces
),

counts AS (
    SELECT
        date,
        count(*) AS traces,
        count(*) FILTER (trace_id IS NULL) AS null_ids,
        count(*) FILTER (ends_early) AS ends_early,
        min(trace_id) FILTER (ends_early) AS ends_early_example,
        count(*) FILTER (on_wrong_day) AS on_wrong_day,
        min(trace_id) FILTER (on_wrong_day) AS on_wrong_day_example,
        count(*) FILTER (below_zero) AS below_zero,
        min(trace_id) FILTER (below_zero) AS below_zero_example,
        count(*) FILTER (without_latency) AS without_latency,
        min(trace_id) FILTER (without_latency) AS without_latency_example,
        count(*) FILTER (without_user_text) / count(*) AS share_without_user_text,
        min(trace_id) FILTER (without_user_text) AS share_without_user_text_example,
        count(*) FILTER (calls_a_model AND without_cost) / nullif(count(*) FILTER (calls_a_model), 0)
            AS share_without_cost,
        min(trace_id) FILTER (calls_a_model AND without_cost) AS share_without_cost_example,
        count(*) FILTER (calls_a_model AND without_model) / nullif(count(*) FILTER (calls_a_model), 0)
            AS share_without_model,
        min(trace_id) FILTER (calls_a_model AND without_model) AS share_without_model_example
    FROM judged
    GROUP BY date
),

volumes AS (
    SELECT date, count(*) AS traces
    FROM recent
    GROUP BY date
),

-- The same weekday of five weeks where there are five, else the last fortnight; days without traces do not count.
usual AS (
    SELECT
        counts.date,
        median(volumes.traces) FILTER (is_same_weekday) AS of_weekday,
        count(*) FILTER (is_same_weekday) AS weekdays,
        median(volumes.traces) FILTER (days_ago <= 14) AS of_fortnight,
        count(*) FILTER (days_ago <= 14) AS days
    FROM counts
    INNER JOIN
        (SELECT date, traces FROM volumes) AS volumes
        ON volumes.date BETWEEN counts.date - 35 AND counts.date - 1
    CROSS JOIN LATERAL (
        SELECT counts.date - volumes.date AS days_ago, (counts.date - volumes.date) % 7 = 0 AS is_same_weekday
    )
    GROUP BY counts.date
),

-- A trace that started two days ago, was still active yesterday and is today has spans in no row.
overlong AS (
    SELECT
        earlier.date + 2 AS date,
        count(DISTINCT trace_id) AS beyond_horizon,
        min(trace_id) AS beyond_horizon_example
    FROM earlier
    WHERE
        end_ns >= epoch_ns((earlier.date + 1)::TIMESTAMP)
        AND (earlier.date + 1, trace_id) IN (SELECT (date, trace_id) FROM spans)
        AND (earlier.date + 2, trace_id) IN (SELECT (date, trace_id) FROM spans)
    GROUP BY earlier.date
)

SELECT
    counts.* EXCLUDE (null_ids),
    null_ids + coalesce(repeated_ids, 0) AS repeated_ids,
    repeated_ids_example,
    coalesce(beyond_horizon, 0) AS beyond_horizon,
    beyond_horizon_example,
    traces / CASE WHEN weekdays >= 5 THEN of_weekday WHEN days >= 5 THEN of_fortnight END AS volume_ratio
FROM counts
LEFT JOIN repeats USING (date)
LEFT JOIN overlong USING (date)
LEFT JOIN usual USING (date)
ORDER BY date
