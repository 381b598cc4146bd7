-- At most $per_day texts of every day, chosen and ordered by hash, with their vector of the space where it is stored
-- and the attributes that steer.
WITH sampled AS (
    SELECT
        date,
        trace_id,
        left(user_text, 4000) AS user_text,
        md5(trace_id || $salt) AS hash,
        []::VARCHAR[] AS attributes
    FROM traces
    WHERE NOT coalesce(is_evaluation, false) AND regexp_matches(left(user_text, 2000), '\pL')
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY hash, trace_id) <= $per_day
)
SELECT sampled.date, sampled.trace_id, sampled.user_text, embeddings.vector, sampled.attributes
FROM sampled
LEFT JOIN embeddings
    ON embeddings.date = sampled.date AND embeddings.trace_id = sampled.trace_id AND embeddings.space = $space
ORDER BY sampled.date, sampled.hash, sampled.trace_id
