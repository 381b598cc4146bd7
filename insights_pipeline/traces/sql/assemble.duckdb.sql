-- Follows `contents`. Spans to traces: numbers from light columns first; long texts are read only of the few
-- spans that give a trace its words, and never pass through a sort.
-- A span is known here by (trace_no, ordinal): two integers instead of two strings.
,

active_days AS MATERIALIZED (
    SELECT DISTINCT trace_id, date FROM one_of_each
),

-- Decided by the neighbouring days alone, so that a range in one run cuts traces where daily runs cut them.
starts AS MATERIALIZED (
    SELECT row_number() OVER () AS trace_no, trace_id, date AS start_date
    FROM active_days
    WHERE
        date BETWEEN $first AND $last
        AND NOT EXISTS (
            FROM active_days AS earlier
            WHERE
                earlier.trace_id = active_days.trace_id
                AND earlier.date BETWEEN active_days.date - $horizon_days AND active_days.date - 1
        )
),

-- A number that cannot be true is missing: it must not overflow a sum and with it fail the day of everyone else.
bounded AS NOT MATERIALIZED (
    SELECT
        * REPLACE (
            CASE WHEN prompt_tokens BETWEEN -$max_tokens AND $max_tokens THEN prompt_tokens END AS prompt_tokens,
            CASE WHEN completion_tokens BETWEEN -$max_tokens AND $max_tokens THEN completion_tokens END
                AS completion_tokens,
            CASE WHEN cached_tokens BETWEEN -$max_tokens AND $max_tokens THEN cached_tokens END AS cached_tokens,
            CASE WHEN total_tokens BETWEEN -$max_tokens AND $max_tokens THEN total_tokens END AS total_tokens,
            CASE WHEN cost_usd BETWEEN 0 AND $max_cost_usd THEN cost_usd END AS cost_usd
        )
    FROM whole
),

light AS MATERIALIZED (
    SELECT
        starts.trace_no,
        row_number() OVER (PARTITION BY starts.trace_no ORDER BY start_ns, span_id) AS ordinal,
        span_id,
        parent_span_id,
        start_ns,
        end_ns,
        ingested_ns,
        kind,
        CASE WHEN kind = 'tool' THEN coalesce(tool_name, name) END AS tool,
        kind IN ('llm', 'embedding') AS is_call,
        kind IN ('agent', 'workflow', 'chain', 'task') AS is_wrapper,
        CASE WHEN is_call THEN model END AS model,
        CASE WHEN is_call THEN prompt_tokens END AS prompt_tokens,
        CASE WHEN is_call THEN completion_tokens END AS completion_tokens,
        CASE WHEN is_call THEN cached_tokens END AS cached_tokens,
        CASE
            WHEN is_call AND coalesce(spans.total_tokens, spans.prompt_tokens, spans.completion_tokens) IS NOT NULL
                THEN coalesce(
                    spans.total_tokens, coalesce(spans.prompt_tokens, 0) + coalesce(spans.completion_tokens, 0)
                )
        END AS total_tokens,
        coalesce(is_error, false) AS is_error,
        -- a call that failed before it used a token is not billed
        is_call AND NOT (coalesce(spans.is_error, false) AND coalesce(spans.total_tokens, spans.prompt_tokens, spans.completion_tokens, 0) = 0)
            AS is_priced,
        CASE WHEN is_priced THEN try_cast(cost_usd AS DECIMAL(38, 12)) END AS cost_usd,
        session_id,
        user_id,
        tenant_id,
        environment,
        service,
        app,
        release,
        prompt,
        source,
        CASE WHEN kind = 'llm' AND is_streaming THEN ttft_ms END AS ttft_ms,
        coalesce(is_evaluation, false) AS is_evaluation,
        feedback,
        tags,
        CASE WHEN kind = 'llm' THEN hash(trim(input_text, E' \t\r\n')) END AS said,
        CASE WHEN kind = 'llm' THEN output_text IS NOT NULL END AS has_output,
        CASE WHEN kind = 'llm' THEN try(json_array_length(messages)) END AS messages_count,
        is_wrapper AND NOT regexp_matches(input_text, '^\s*([{\[]|$)') AS has_plain_input
    FROM bounded AS spans
    INNER JOIN starts
        ON
            starts.trace_id = spans.trace_id
            AND spans.date BETWEEN starts.start_date AND starts.start_date + $horizon_days
),

-- parent is NULL for a span without one, and for one whose parent never arrived
parents AS MATERIALIZED (
    SELECT light.trace_no, light.ordinal, parent.ordinal AS parent
    FROM light
    LEFT JOIN light AS parent
        ON
            parent.trace_no = light.trace_no
            AND parent.span_id = light.parent_span_id
            AND parent.ordinal <> light.ordinal
),

-- in a trace that is one cycle the earliest span stands for the root
roots AS MATERIALIZED (
    SELECT trace_no, coalesce(min(ordinal) FILTER (parent IS NULL), 1) AS root
    FROM parents
    GROUP BY trace_no
),

-- Two instrumentations of one call, a framework's and its client's, make a call within a call: the inner one is the
-- call where it says what it used or how it failed, and the outer one is what wraps it.
wrapping_calls AS MATERIALIZED (
    SELECT DISTINCT outer_call.trace_no, outer_call.ordinal
    FROM light AS inner_call
    INNER JOIN parents USING (trace_no, ordinal)
    INNER JOIN light AS outer_call
        ON outer_call.trace_no = parents.trace_no AND outer_call.ordinal = parents.parent
    WHERE
        inner_call.kind = 'llm'
        AND outer_call.kind = 'llm'
        AND (inner_call.total_tokens IS NOT NULL OR (inner_call.is_error AND outer_call.total_tokens IS NULL))
),

-- What judges say is not what users say. A guardrail at the root wraps the whole turn: that one is no judge.
judged AS (
    SELECT trace_no, ordinal
    FROM light
    INNER JOIN roots USING (trace_no)
    WHERE kind = 'evaluator' OR (kind = 'guardrail' AND ordinal <> root)
    UNION
    SELECT child.trace_no, child.ordinal
    FROM judged
    INNER JOIN parents AS child ON child.trace_no = judged.trace_no AND child.parent = judged.ordinal
),

speaking AS MATERIALIZED (
    SELECT trace_no, ordinal, kind, said, has_output, messages_count, has_plain_input
    FROM light
    ANTI JOIN judged USING (trace_no, ordinal)
),

-- Depth matters only where several spans failed.
failures AS MATERIALIZED (
    SELECT trace_no, min(ordinal) AS first_failed, count(*) AS failed
    FROM light
    WHERE is_error
    GROUP BY trace_no
),

depths AS (
    SELECT parents.trace_no, parents.ordinal, 0 AS depth
    FROM parents
    INNER JOIN failures USING (trace_no)
    WHERE failed > 1 AND parent IS NULL
    UNION ALL
    SELECT child.trace_no, child.ordinal, depths.depth + 1
    FROM depths
    INNER JOIN parents AS child ON child.trace_no = depths.trace_no AND child.parent = depths.ordinal
    WHERE depths.depth < $max_depth
),

-- what no walk from a root reaches (a cycle, or deeper than $max_depth) counts as $max_depth
deepest_failures AS (
    SELECT light.trace_no, arg_min(light.ordinal, (-coalesce(depth, $max_depth), light.ordinal)) AS deepest
    FROM light
    INNER JOIN failures USING (trace_no)
    LEFT JOIN depths ON depths.trace_no = light.trace_no AND depths.ordinal = light.ordinal
    WHERE light.is_error AND failed > 1
    GROUP BY light.trace_no
),

picks AS MATERIALIZED (
    SELECT
        roots.trace_no,
        root,
        max(ordinal) FILTER (has_output) AS last_output,
        arg_max(ordinal, (messages_count, ordinal)) FILTER (messages_count IS NOT NULL) AS most_messages,
        min(ordinal) FILTER (messages_count IS NOT NULL) AS first_call,
        min(ordinal) FILTER (has_plain_input) AS first_wrapper,
        bool_or(ordinal = root) AS root_speaks
    FROM roots
    LEFT JOIN speaking USING (trace_no)
    GROUP BY roots.trace_no, root
),

turns AS (
    SELECT trace_no, min(ordinal) AS ordinal
    FROM speaking
    WHERE said IS NOT NULL
    GROUP BY trace_no, said
),

wanted AS MATERIALIZED (
    SELECT
        starts.trace_id,
        starts.start_date,
        light.span_id,
        light.trace_no,
        light.ordinal,
        light.ordinal = root AS is_root,
        light.ordinal = root AND root_speaks AS root_speaks,
        turns.ordinal IS NOT NULL AS is_turn,
        light.ordinal IS NOT DISTINCT FROM last_output AS is_output,
        light.ordinal IS NOT DISTINCT FROM most_messages AS is_messages,
        light.ordinal IS NOT DISTINCT FROM first_call AS is_first_call,
        light.ordinal IS NOT DISTINCT FROM first_wrapper AS is_wrapper,
        light.ordinal IS NOT DISTINCT FROM coalesce(deepest, first_failed) AS is_failure
    FROM light
    INNER JOIN starts USING (trace_no)
    INNER JOIN picks USING (trace_no)
    LEFT JOIN failures USING (trace_no)
    LEFT JOIN deepest_failures USING (trace_no)
    LEFT JOIN turns ON turns.trace_no = light.trace_no AND turns.ordinal = light.ordinal
    WHERE is_root OR is_turn OR is_output OR is_messages OR is_first_call OR is_wrapper OR is_failure
),

texts AS NOT MATERIALIZED (
    SELECT
        wanted.*,
        nullif(trim(input_text, E' \t\r\n'), '') AS input_text,
        output_text,
        NOT regexp_matches(input_text, '^\s*([{\[]|$)') AS input_is_plain,
        NOT regexp_matches(output_text, '^\s*([{\[]|$)') AS output_is_plain,
        messages,
        error_type,
        error_message,
        attributes
    FROM whole AS spans
    INNER JOIN wanted
        ON
            wanted.trace_id = spans.trace_id
            AND wanted.span_id = spans.span_id
            AND spans.date BETWEEN wanted.start_date AND wanted.start_date + $horizon_days
),

-- A later turn of a thread ("yes, the blue one") says what is wanted only together with the request that opened
-- the thread: the first of the user's messages that the first call was sent, where there are several.
openings AS (
    SELECT trace_no, CASE WHEN length(said) > 1 THEN nullif(trim(said[1], E' \t\r\n'), '') END AS opening
    FROM (
        SELECT
            trace_no,
            list_transform(
                list_filter(json_extract(messages, '$[*]'), lambda message: message ->> 'role' = 'user'),
                lambda message: message ->> 'content'
            ) AS said
        FROM texts
        WHERE is_first_call
    )
),

words AS (
    SELECT
        trace_no,
        any_value(input_text) FILTER (root_speaks AND input_is_plain) AS root_input,
        list(input_text ORDER BY ordinal) FILTER (is_turn AND input_text IS NOT NULL) AS turns,
        any_value(input_text) FILTER (is_wrapper) AS wrapper_input,
        any_value(output_text) FILTER (root_speaks AND output_is_plain) AS root_output,
        any_value(output_text) FILTER (is_output) AS last_output,
        any_value(messages) FILTER (is_messages) AS messages,
        any_value(error_type) FILTER (is_failure) AS error_type,
        any_value(error_message) FILTER (is_failure) AS error_message,
        any_value(attributes) FILTER (is_root AND length(attributes) <= $max_metadata_chars) AS metadata
    FROM texts
    GROUP BY trace_no
),

-- What was sent last of each score that came apart from its trace.
judgements AS (
    SELECT starts.trace_no, feedback.name, feedback.value, feedback.at_ns, feedback.ingested_ns, feedback.score_id
    FROM feedback
    INNER JOIN starts
        ON
            starts.trace_id = feedback.trace_id
            AND feedback.date BETWEEN starts.start_date - $horizon_days AND starts.start_date + $horizon_days
    WHERE feedback.trace_id >= $low AND feedback.trace_id < $high
    QUALIFY row_number() OVER (
        PARTITION BY starts.trace_no, feedback.score_id
        ORDER BY feedback.ingested_ns DESC NULLS LAST, feedback.at_ns DESC NULLS LAST, md5(to_json(feedback)) DESC
    ) = 1
),

-- Of scores of one name the newest counts: on spans the later span's, before them those that came apart. A label
-- without a value, and what was taken back (neither of them), is no score and hides none.
scores AS (
    SELECT trace_no, name, arg_max(score, standing) AS score
    FROM (
        SELECT
            trace_no,
            entry.key AS name,
            try_cast(entry.value AS DOUBLE) AS score,
            row(false, ordinal, 0::BIGINT, '') AS standing
        FROM light, json_each(light.feedback) AS entry
        WHERE light.feedback IS NOT NULL AND json_valid(light.feedback)
        UNION ALL
        SELECT trace_no, name, value, row(true, at_ns, ingested_ns, score_id)
        FROM judgements
        WHERE name IS NOT NULL
    )
    WHERE isfinite(score)
    GROUP BY trace_no, name
),

feedbacks AS (
    SELECT trace_no, map(list(name ORDER BY name), list(score ORDER BY name)) AS feedback
    FROM scores
    GROUP BY trace_no
),

model_ranks AS (
    SELECT
        trace_no,
        model,
        row_number() OVER (
            PARTITION BY trace_no
            ORDER BY bool_or(kind = 'llm') DESC, coalesce(sum(total_tokens), 0) DESC, count(*) DESC, model
        ) AS rank
    FROM light
    ANTI JOIN wrapping_calls USING (trace_no, ordinal)
    WHERE model IS NOT NULL
    GROUP BY trace_no, model
),

models AS (
    SELECT trace_no, list(model ORDER BY model) AS models, any_value(model) FILTER (rank = 1) AS primary_model
    FROM model_ranks
    GROUP BY trace_no
),

-- The prompts of the calls; where only other spans name one (a prompt that was pulled, metadata of the root), theirs.
-- That of a judge is not how the request was answered.
prompts AS (
    SELECT
        trace_no,
        array_to_string(
            list_sort(coalesce(list(DISTINCT prompt) FILTER (kind = 'llm'), list(DISTINCT prompt)))[:$max_prompts],
            ' + '
        ) AS prompt
    FROM light
    ANTI JOIN judged USING (trace_no, ordinal)
    WHERE prompt IS NOT NULL
    GROUP BY trace_no
),

-- A live trace: a span of it arrived soon after it ended. Only there can another be late, so that an import of
-- history has none.
arrivals AS (
    SELECT
        trace_no,
        min(ingested_ns) AS first_arrival,
        min(ingested_ns - end_ns) <= $late_after_ns AS is_live
    FROM light
    GROUP BY trace_no
),

numbers AS (
    SELECT
        trace_no,
        arg_min(session_id, place) AS thread_id,
        arg_min(user_id, place) AS user_id,
        arg_min(tenant_id, place) AS tenant_id,
        arg_min(environment, place) AS environment,
        arg_min(service, place) AS service,
        arg_min(app, place) AS app,
        arg_min(release, place) AS release,
        arg_min(source, place) AS source,
        min(start_ns) AS start_ns,
        max(end_ns) AS end_ns,
        (max(end_ns) - min(start_ns)) / 1e6 AS latency_ms,
        arg_min(ttft_ms, ordinal) AS ttft_ms,
        -- The root agent or task is the trace itself, not a step of it: one SDK calls it agent, another workflow.
        count(*) FILTER (kind IN ('llm', 'tool', 'retriever') OR (kind IN ('agent', 'task') AND place > 0))
            AS step_count,
        count(*) FILTER (kind = 'llm') AS llm_calls,
        coalesce(list(tool ORDER BY ordinal) FILTER (tool IS NOT NULL), []) AS tool_calls,
        try_cast(sum(prompt_tokens) AS BIGINT) AS prompt_tokens,
        try_cast(sum(completion_tokens) AS BIGINT) AS completion_tokens,
        try_cast(sum(cached_tokens) AS BIGINT) AS cached_tokens,
        try_cast(sum(total_tokens) AS BIGINT) AS total_tokens,
        count(*) FILTER (is_priced) AS priced_calls,
        count(cost_usd) AS known_costs,
        CASE WHEN known_costs = priced_calls THEN sum(cost_usd)::DOUBLE END AS cost_usd,
        known_costs / nullif(priced_calls, 0) AS cost_coverage,
        bool_or(is_error) AS is_error,
        list_sort(list_distinct(flatten(coalesce(list(tags) FILTER (tags IS NOT NULL), [])))) AS tags,
        count(*) AS span_count,
        count(*) FILTER (
            is_live
            AND ingested_ns - first_arrival > $late_after_ns
            AND ingested_ns - end_ns > $late_after_ns
        ) AS late_spans,
        bool_or(is_evaluation) AS is_evaluation
    FROM (
        SELECT
            light.* REPLACE (
                CASE WHEN wraps THEN 'chain' ELSE kind END AS kind,
                CASE WHEN NOT wraps THEN prompt_tokens END AS prompt_tokens,
                CASE WHEN NOT wraps THEN completion_tokens END AS completion_tokens,
                CASE WHEN NOT wraps THEN cached_tokens END AS cached_tokens,
                CASE WHEN NOT wraps THEN total_tokens END AS total_tokens,
                CASE WHEN NOT wraps THEN cost_usd END AS cost_usd,
                is_priced AND NOT wraps AS is_priced
            ),
            first_arrival,
            is_live,
            CASE WHEN light.ordinal = root THEN 0 ELSE light.ordinal END AS place
        FROM (
            SELECT light.*, wrapping_calls.ordinal IS NOT NULL AS wraps
            FROM light
            LEFT JOIN wrapping_calls USING (trace_no, ordinal)
        ) AS light
        INNER JOIN roots USING (trace_no)
        INNER JOIN arrivals USING (trace_no)
    )
    GROUP BY trace_no
),

spoken AS (
    SELECT
        trace_no,
        left(
            coalesce(
                list_reduce(
                    nullif(list_concat(list_filter([opening, root_input], lambda said: said IS NOT NULL), turns), []),
                    lambda said, turn: CASE
                        WHEN length(said) > $max_user_chars OR contains(said, turn) THEN said
                        ELSE said || E'\n' || turn
                    END
                ),
                wrapper_input
            ),
            $max_user_chars
        ) AS user_text,
        coalesce(root_output, last_output) AS output_text,
        messages,
        error_type,
        error_message,
        metadata
    FROM words
    LEFT JOIN openings USING (trace_no)
)

SELECT
    start_date AS date,
    trace_id,
    thread_id,
    user_id,
    tenant_id,
    environment,
    service,
    app,
    release,
    prompt,
    source,
    start_ns,
    end_ns,
    latency_ms,
    ttft_ms,
    step_count,
    llm_calls,
    tool_calls,
    prompt_tokens,
    completion_tokens,
    cached_tokens,
    total_tokens,
    cost_usd,
    cost_coverage,
    coalesce(models, []) AS models,
    primary_model,
    is_error,
    error_type,
    error_message,
    user_text,
    output_text,
    length(output_text) AS output_chars,
    messages,
    feedback,
    tags,
    metadata,
    span_count,
    late_spans,
    is_evaluation
FROM starts
INNER JOIN numbers USING (trace_no)
INNER JOIN spoken USING (trace_no)
LEFT JOIN models USING (trace_no)
LEFT JOIN prompts USING (trace_no)
LEFT JOIN feedbacks USING (trace_no)
ORDER BY date, trace_id
