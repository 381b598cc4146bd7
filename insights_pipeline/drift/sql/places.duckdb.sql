-- Follows `traffic`. Which slices each trace counts in. Values are the text of strangers: without control characters,
-- short, the largest of a day; a trace without a value is in (none), one of a smaller value in (other).
raw_values AS (
    SELECT date, dimension, raw, count(*) AS n
    FROM (
        SELECT
            date,
            unnest(['model', 'tenant', 'environment', 'service', 'release', 'prompt']) AS dimension,
            unnest([model, tenant, environment, service, release, prompt]) AS raw
        FROM traffic
    )
    WHERE raw IS NOT NULL
    GROUP BY date, dimension, raw
    UNION ALL
    SELECT u.date, 'tool', u.name, sum(p.n)
    FROM tools_of u
    JOIN patterns p ON p.pattern = u.pattern
    GROUP BY u.date, u.name
),
clean_values AS MATERIALIZED (
    SELECT
        date,
        dimension,
        raw,
        n,
        coalesce(
            nullif(trim(left(trim(regexp_replace(raw, '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+', ' ', 'g')), $value_chars)), ''),
            '(none)'
        ) AS value
    FROM raw_values
),
kept AS MATERIALIZED (
    SELECT c.date, c.dimension, c.raw, c.value
    FROM clean_values c
    JOIN (
        SELECT
            date,
            dimension,
            value,
            -- (none) is not one of the largest, and always kept
            row_number() OVER (PARTITION BY date, dimension, value = '(none)' ORDER BY sum(n) DESC, value) AS place
        FROM clean_values
        GROUP BY date, dimension, value
    ) AS ranked ON ranked.date = c.date AND ranked.dimension = c.dimension AND ranked.value = c.value
    WHERE ranked.place <= $values
),
-- a dimension that nobody named on a day has no slices
named AS (
    SELECT date, list(DISTINCT dimension) FILTER (value != '(none)') AS dimensions
    FROM clean_values
    GROUP BY date
),
placed AS MATERIALIZED (
    SELECT
        t.* EXCLUDE (tool_calls) REPLACE (
            CASE WHEN list_contains(d.dimensions, 'model')
                THEN coalesce(m.value, if(t.model IS NULL, '(none)', '(other)')) END AS model,
            CASE WHEN list_contains(d.dimensions, 'tenant')
                THEN coalesce(n.value, if(t.tenant IS NULL, '(none)', '(other)')) END AS tenant,
            CASE WHEN list_contains(d.dimensions, 'environment')
                THEN coalesce(e.value, if(t.environment IS NULL, '(none)', '(other)')) END AS environment,
            CASE WHEN list_contains(d.dimensions, 'service')
                THEN coalesce(s.value, if(t.service IS NULL, '(none)', '(other)')) END AS service,
            CASE WHEN list_contains(d.dimensions, 'release')
                THEN coalesce(r.value, if(t.release IS NULL, '(none)', '(other)')) END AS release,
            CASE WHEN list_contains(d.dimensions, 'prompt')
                THEN coalesce(q.value, if(t.prompt IS NULL, '(none)', '(other)')) END AS prompt
        ),
        p.pattern
    FROM traffic t
    JOIN named d ON d.date = t.date
    LEFT JOIN patterns p ON p.date = t.date AND p.tool_calls = t.tool_calls
    LEFT JOIN kept m ON m.date = t.date AND m.dimension = 'model' AND m.raw = t.model
    LEFT JOIN kept n ON n.date = t.date AND n.dimension = 'tenant' AND n.raw = t.tenant
    LEFT JOIN kept e ON e.date = t.date AND e.dimension = 'environment' AND e.raw = t.environment
    LEFT JOIN kept s ON s.date = t.date AND s.dimension = 'service' AND s.raw = t.service
    LEFT JOIN kept r ON r.date = t.date AND r.dimension = 'release' AND r.raw = t.release
    LEFT JOIN kept q ON q.date = t.date AND q.dimension = 'prompt' AND q.raw = t.prompt
),
-- the tools of a pattern as slices: a trace counts once in each
tools_in AS MATERIALIZED (
    SELECT DISTINCT u.pattern, coalesce(k.value, '(other)') AS tool
    FROM tools_of u
    JOIN named d ON d.date = u.date AND list_contains(d.dimensions, 'tool')
    LEFT JOIN kept k ON k.date = u.date AND k.dimension = 'tool' AND k.raw = u.name
),
