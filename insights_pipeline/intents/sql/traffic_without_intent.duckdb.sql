-- Traces that were given no intent: `unknown` are unlike anything known, the rest has no text or came before any intent.
SELECT
    count(*) AS traces,
    count(*) FILTER (WHERE intent_id IS NULL AND score IS NOT NULL) AS unknown,
    count(*) FILTER (WHERE intent_id IS NULL AND score IS NULL) AS unanswered
FROM trace_intents
