SELECT date, intent_id, NULL::VARCHAR AS slice, entry.name AS name, sum(entry.share)::DOUBLE AS share
FROM (
    SELECT r.date, coalesce(l.target, r.intent_id) AS intent_id, unnest(r.shares) AS entry
    FROM intent_rollups r
    LEFT JOIN lineage l ON l.intent_id = r.intent_id
    WHERE r.metric = 'tool_mix' AND r.date >= coalesce(l.since, r.date)
)
GROUP BY date, intent_id, name
ORDER BY date, intent_id, name
