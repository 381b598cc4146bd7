-- Follows `group_series`. The columns of `panel_tools`.
SELECT date, intent_id, slice, entry.name AS name, sum(entry.share)::DOUBLE AS share
FROM (
    SELECT date, intent_id, slice, unnest(shares) AS entry
    FROM known
    JOIN enough USING (intent_id, slice)
    WHERE metric = 'tool_mix'
)
GROUP BY date, intent_id, slice, name
ORDER BY date, intent_id, slice, name
