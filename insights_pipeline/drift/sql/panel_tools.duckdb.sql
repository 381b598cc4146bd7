SELECT date, intent_id, entry.name AS name, entry.share::DOUBLE AS share
FROM (
    SELECT date, intent_id, unnest(shares) AS entry
    FROM intent_rollups
    WHERE metric = 'tool_mix' AND list_contains($reserved::VARCHAR[], intent_id) = $of_reserved
)
ORDER BY date, intent_id, name
