-- What each span said apart from itself: one row a span that has log records, with its messages and texts.
-- Sources: `span_contents`, a message in JSON each; `spans`, which tell what days a span is on: only records of
-- $horizon_days around it are its own. Only keys (trace and span id) from $low to below $high are read.
-- Long texts never pass through a sort or a window but for those of the records that are kept.
WITH
addressed AS MATERIALIZED (
    SELECT
        spans.trace_id,
        spans.span_id,
        spans.date,
        at_ns,
        ordinal,
        list_concat(inputs, outputs) AS messages,
        coalesce(length(inputs), 0) AS inputs_count,
        hash(inputs, outputs) AS digest
    FROM span_contents
    INNER JOIN spans
        ON
            spans.trace_id = span_contents.trace_id
            AND spans.span_id = span_contents.span_id
            AND span_contents.date BETWEEN spans.date - $horizon_days AND spans.date + $horizon_days
    WHERE
        concat(span_contents.trace_id, span_contents.span_id) >= $low
        AND concat(span_contents.trace_id, span_contents.span_id) < $high
),

-- A record that was sent again counts once; those that more than fill the bound are left out, oldest first.
newest AS NOT MATERIALIZED (
    SELECT
        trace_id,
        span_id,
        date,
        at_ns,
        ordinal,
        digest,
        sum(messages_count) OVER (PARTITION BY trace_id, span_id, date) AS all_messages
    FROM (
        SELECT DISTINCT
            trace_id,
            span_id,
            date,
            at_ns,
            ordinal,
            digest,
            length(messages) AS messages_count,
            list_sum(list_transform(messages, lambda message: length(message))) AS chars
        FROM addressed
    )
    QUALIFY coalesce(sum(chars) OVER (
        PARTITION BY trace_id, span_id, date
        ORDER BY at_ns DESC, ordinal DESC, digest DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) <= $max_content_chars
),

told AS NOT MATERIALIZED (
    SELECT
        trace_id,
        span_id,
        date,
        at_ns,
        ordinal,
        digest,
        any_value(all_messages) AS all_messages,
        any_value(inputs_count) AS inputs_count,
        any_value(messages) AS messages
    FROM addressed
    INNER JOIN newest USING (trace_id, span_id, date, at_ns, ordinal, digest)
    GROUP BY trace_id, span_id, date, at_ns, ordinal, digest
),

told_messages AS NOT MATERIALIZED (
    SELECT
        trace_id,
        span_id,
        date,
        all_messages,
        message,
        row_number() OVER newest_first AS from_end,
        sum(length(message) + 1) OVER newest_first <= $max_content_chars AS is_kept
    FROM (
        SELECT
            * EXCLUDE (messages),
            unnest(messages) AS message,
            generate_subscripts(messages, 1) AS place,
            place > inputs_count AS is_output
        FROM told
    )
    WHERE json_valid(message)
    WINDOW
        newest_first AS (
            PARTITION BY trace_id, span_id, date
            ORDER BY is_output DESC, at_ns DESC, ordinal DESC, digest DESC, place DESC
            ROWS UNBOUNDED PRECEDING
        )
),

conversations AS (
    SELECT
        trace_id,
        span_id,
        date,
        any_value(all_messages) - count(*) FILTER (is_kept) AS left_out,
        concat(
            '[',
            CASE
                WHEN left_out > 0
                    THEN format('{{"role":"cut","content":"… [cut: {} earlier messages]"}}', left_out)
                    || CASE WHEN bool_or(is_kept) THEN ',' ELSE '' END
            END,
            string_agg(message, ',' ORDER BY from_end DESC) FILTER (is_kept),
            ']'
        ) AS messages
    FROM told_messages
    GROUP BY trace_id, span_id, date
),

-- The texts, and hashes of all there is, which tell what a compaction made of these records from a span's own words.
words AS (
    SELECT
        trace_id,
        span_id,
        date,
        arg_max(content, place) FILTER (is_question) AS input_text,
        arg_min(content, place) FILTER (is_answer) AS output_text,
        list(DISTINCT message_hash) AS known_messages,
        list(DISTINCT hash(content)) FILTER (is_question) AS known_inputs,
        list(DISTINCT hash(content)) FILTER (is_answer) AS known_outputs
    FROM (
        SELECT
            trace_id,
            span_id,
            date,
            row(at_ns, ordinal, digest, position) AS place,
            hash(json(message)::VARCHAR) AS message_hash,
            left(message ->> '$.content', $max_content_chars) AS content,
            message ->> '$.role' AS role,
            coalesce(trim(content, E' \t\r\n'), '') <> '' AS has_words,
            has_words AND position <= inputs_count AND role = 'user' AS is_question,
            has_words AND position > inputs_count AND role = 'assistant' AS is_answer
        FROM (
            SELECT
                * EXCLUDE (messages),
                unnest(messages) AS message,
                generate_subscripts(messages, 1) AS position
            FROM addressed
        )
        WHERE json_valid(message)
    )
    GROUP BY trace_id, span_id, date
)

SELECT
    date,
    trace_id,
    span_id,
    messages,
    input_text,
    output_text,
    known_messages,
    coalesce(known_inputs, []) AS known_inputs,
    coalesce(known_outputs, []) AS known_outputs
FROM conversations
INNER JOIN words USING (trace_id, span_id, date)
