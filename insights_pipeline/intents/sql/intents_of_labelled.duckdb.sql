-- What traces that people have labelled were given; of a trace on several days what it was given first.
SELECT labelled.trace_id, labelled.label, given.intent_id, given.score
FROM labelled
JOIN trace_intents AS given USING (trace_id)
QUALIFY row_number() OVER (PARTITION BY labelled.trace_id ORDER BY given.date) = 1
ORDER BY labelled.trace_id
