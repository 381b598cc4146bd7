SELECT
    coalesce(
        sum(
            list_sum(
                list_transform(list_concat(inputs, outputs), lambda message: strlen(message))
            )
        ),
        0
    )::BIGINT AS text_bytes
FROM span_contents
