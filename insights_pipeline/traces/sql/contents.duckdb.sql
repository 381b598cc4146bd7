-- Follows `one_of_each`, before `compact` and `assemble`: spans together with what they said apart from themselves.
-- Source `said`: the result of `said.duckdb.sql`.
-- What a span says itself wins. What an earlier compaction put there out of log records is theirs, not the span's
-- own: when more of them arrive the whole is made anew, so that rows are the same whichever came first.
,

whole AS NOT MATERIALIZED (
    SELECT
        spans.* REPLACE (
            CASE
                WHEN said.messages IS NULL OR spans.kind IS DISTINCT FROM 'llm' THEN spans.messages
                WHEN spans.messages IS NULL THEN said.messages
                WHEN NOT json_valid(spans.messages) THEN spans.messages
                WHEN
                    list_has_all(
                        known_messages,
                        list_transform(
                            list_filter(
                                json_extract(spans.messages, '$[*]'),
                                lambda message: coalesce(message ->> '$.role', '') <> 'cut'
                            ),
                            lambda message: hash(message::VARCHAR)
                        )
                    )
                    THEN said.messages
                ELSE spans.messages
            END AS messages,
            CASE
                WHEN said.input_text IS NULL THEN spans.input_text
                WHEN spans.input_text IS NULL OR list_contains(known_inputs, hash(spans.input_text))
                    THEN said.input_text
                ELSE spans.input_text
            END AS input_text,
            CASE
                WHEN said.output_text IS NULL THEN spans.output_text
                WHEN spans.output_text IS NULL OR list_contains(known_outputs, hash(spans.output_text))
                    THEN said.output_text
                ELSE spans.output_text
            END AS output_text
        )
    FROM one_of_each AS spans
    LEFT JOIN
        (SELECT * FROM said WHERE trace_id >= $low AND trace_id < $high) AS said
        USING (trace_id, span_id, date)
)
