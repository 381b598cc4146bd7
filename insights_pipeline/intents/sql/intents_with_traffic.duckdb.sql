-- Intents of a day with the traces they had in the days of `trace_intents`, busiest first.
WITH traffic AS (
    SELECT intent_id, count(*) AS traces
    FROM trace_intents
    GROUP BY intent_id
),
total AS (SELECT count(*) AS traces FROM trace_intents)
SELECT
    intents.* EXCLUDE (exemplar_texts),
    intents.exemplar_texts[1:3] AS exemplars,
    coalesce(traffic.traces, 0) AS traces,
    coalesce(traffic.traces / nullif(total.traces, 0), 0) AS share
FROM intents
LEFT JOIN traffic ON traffic.intent_id = intents.intent_id
CROSS JOIN total
ORDER BY traces DESC, intents.intent_id
