-- Which copy of a span counts. This is the beginning of `compact` and of `assemble`, which must agree on it.
-- Source `spans`: the days $first..$last and their neighbours, for `assemble` also the neighbours of those.
-- Only trace ids from $low to below $high are read: compacted files are sorted by them, so a part of a day reads a
-- part of its files.
-- The last arrival wins; of copies that arrived together the one that ended last, then started last, then
-- has the greatest content hash. Copies on two days differ in start_ns, so content decides only within a day.
-- A copy wins only over copies of its own day and of $horizon_days around it: a longer arm would let a range in one
-- run see copies that daily runs cannot.
WITH RECURSIVE
near AS NOT MATERIALIZED (
    SELECT spans.*
    FROM spans
    SEMI JOIN
        (
            SELECT DISTINCT trace_id
            FROM spans
            WHERE date BETWEEN $first AND $last AND trace_id >= $low AND trace_id < $high
        ) AS touched USING (trace_id)
    WHERE trace_id >= $low AND trace_id < $high
),

-- 8 bytes a span instead of 50: a collision of hashes only costs one comparison in `contested`
suspects AS MATERIALIZED (
    SELECT hash(trace_id, span_id) AS key_hash
    FROM near
    GROUP BY key_hash
    HAVING count(*) > 1
),

contested AS MATERIALIZED (
    SELECT trace_id, span_id
    FROM near
    WHERE hash(trace_id, span_id) IN (SELECT key_hash FROM suspects)
    GROUP BY trace_id, span_id
    HAVING count(*) > 1
),

standings AS MATERIALIZED (
    SELECT
        trace_id,
        span_id,
        date,
        max(row(coalesce(ingested_ns, -1), coalesce(end_ns, -1), start_ns)) AS standing
    FROM near
    SEMI JOIN contested USING (trace_id, span_id)
    GROUP BY trace_id, span_id, date
),

unbeaten AS MATERIALIZED (
    SELECT trace_id, span_id, date
    FROM standings
    WHERE
        NOT EXISTS (
            FROM standings AS rival
            WHERE
                rival.trace_id = standings.trace_id
                AND rival.span_id = standings.span_id
                AND rival.date BETWEEN standings.date - $horizon_days AND standings.date + $horizon_days
                AND rival.standing > standings.standing
        )
),

winners AS MATERIALIZED (
    SELECT near.*
    FROM near
    SEMI JOIN unbeaten USING (trace_id, span_id, date)
    WHERE date BETWEEN $first::DATE - $horizon_days::INTEGER AND $last::DATE + $horizon_days::INTEGER
    QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id, date
        ORDER BY
            ingested_ns DESC NULLS LAST, end_ns DESC NULLS LAST, start_ns DESC, md5(to_json(near)) DESC
    ) = 1
),

one_of_each AS NOT MATERIALIZED (
    SELECT near.*
    FROM near
    ANTI JOIN contested USING (trace_id, span_id)
    WHERE date BETWEEN $first::DATE - $horizon_days::INTEGER AND $last::DATE + $horizon_days::INTEGER
    UNION ALL
    SELECT * FROM winners
)
