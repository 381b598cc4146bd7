-- How much there is to assemble: `messages` are nearly all of the text.
SELECT count(*) AS spans, coalesce(sum(strlen(messages)), 0)::BIGINT AS text_bytes
FROM spans
