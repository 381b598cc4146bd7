-- A sample of all texts that does not depend on their order: the lowest hashes of the trace ids. With the attributes
-- that steer.
SELECT date, trace_id, left(user_text, 4000) AS user_text, []::VARCHAR[] AS attributes
FROM traces
WHERE NOT coalesce(is_evaluation, false) AND regexp_matches(left(user_text, 2000), '\pL')
ORDER BY md5(trace_id || $salt), trace_id
LIMIT $size
