from __future__ import annotations

import random
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_rand_score,
    completeness_score,
    homogeneity_score,
    normalized_mutual_info_score,
    roc_auc_score,
    v_measure_score,
)

from insights_pipeline.intents.evaluation.compare import compare
from insights_pipeline.intents.evaluation.confusion import mixtures
from insights_pipeline.intents.evaluation.evaluate import agreement, auroc, majority_labels
from insights_pipeline.intents.evaluation.labelled import read_labelled
from insights_pipeline.intents.evaluation.trial import is_out_of_scope, split_of, trial
from insights_pipeline.lake import DuckDBEngine, rows_to_table
from tests.intents.samples import clinc
from tests.intents.streams import wording

INTENTS = ("order", "refund", "password", "invoice", "address", "loyalty")
DAY = date(2026, 3, 2)


def labelled(count: int, seed: int = 0, strangers: int = 0) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    labels = [rng.choice(INTENTS) for _ in range(count)]
    texts = [wording(label, rng) for label in labels]
    odd = [
        f"{rng.choice(['sing', 'paint', 'whistle'])} zebra {number} moonlight" for number in range(strangers)
    ]
    return texts + odd, labels + ["OOS"] * strangers


@pytest.mark.parametrize("seed", range(5))
def test_agreement_and_auroc_are_what_scikit_learn_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, found = rng.integers(0, 9, 400).tolist(), rng.integers(0, 4, 400).tolist()
    found = [group if rng.random() < 0.5 else label for group, label in zip(found, true, strict=True)]
    ours = agreement(true, found)
    assert ours.nmi == pytest.approx(normalized_mutual_info_score(true, found))
    assert ours.nmi == pytest.approx(v_measure_score(true, found))
    assert ours.ari == pytest.approx(adjusted_rand_score(true, found))
    assert ours.homogeneity == pytest.approx(homogeneity_score(true, found))
    assert ours.completeness == pytest.approx(completeness_score(true, found))
    assert (ours.true, ours.found) == (len(set(true)), len(set(found)))
    known, strange = rng.normal(1, 1, 150).round(1), rng.normal(0, 1, 60).round(1)
    expected = roc_auc_score([0] * 150 + [1] * 60, -np.concatenate([known, strange]))
    assert auroc(known, strange) == pytest.approx(expected)


def test_labellings_of_one_class_agree_fully_and_nothing_has_no_auroc() -> None:
    same = agreement(["a"] * 5, ["b"] * 5)
    assert (same.nmi, same.ari, same.homogeneity, same.completeness, same.purity) == (1, 1, 1, 1, 1)
    split = agreement(["a"] * 4, [0, 0, 1, 1])
    assert (split.homogeneity, split.completeness, split.k_ratio) == (1, pytest.approx(0), 2)
    assert auroc(np.array([1.0]), np.zeros(0)) is None
    with pytest.raises(ValueError, match="two labellings of the same items"):
        agreement([], [])


def test_as_many_labels_as_items_need_no_table_of_all_pairs() -> None:
    items = [str(number) for number in range(30_000)]
    assert agreement(items, list(reversed(items))).nmi == pytest.approx(1)


def test_the_majority_label_of_a_group_is_its_most_frequent_and_then_the_first_by_name() -> None:
    assert majority_labels(["b", "a", "c", "c"], [0, 0, 1, 1], 3) == ["a", "c", None]


def test_mixtures_tell_what_is_astray_with_an_example_each() -> None:
    found = mixtures(["0", "0", "0", "1", "1"], ["x", "y", "x", "y", "y"], list("abcde"), names={"0": "Zero"})
    assert len(found) == 1  # the other class is pure
    assert (found[0].name, found[0].items, found[0].astray) == ("Zero", 3, 1)
    assert [(part.name, part.items, part.example) for part in found[0].parts] == [
        ("x", 2, "a"),
        ("y", 1, "b"),
    ]


@pytest.mark.parametrize("label", ["oos", "OOS", "Unknown", "out-of-scope", "out of scope"])
def test_strangers_are_known_by_their_label(label: str) -> None:
    assert is_out_of_scope(label)
    assert not is_out_of_scope("chitchat")
    assert is_out_of_scope("chitchat", ["chitchat"])


def test_the_parts_of_a_split_are_disjoint_and_withheld_labels_are_nowhere_else() -> None:
    texts, labels = labelled(400, strangers=20)
    rows = [
        (f"{text} {number}", label) for number, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    split = split_of(rows, 5_000, 0.3, 0.2, seed=4)
    parts = (split.first, split.later, split.withheld, split.strange)
    assert sorted(row for part in parts for row in part) == sorted(rows)
    withheld = {label for _, label in split.withheld}
    assert len(withheld) == 1
    assert not withheld & {label for _, label in (*split.first, *split.later)}
    assert {label for _, label in split.strange} == {"OOS"}
    assert len(split.later) == round(0.3 * (len(split.first) + len(split.later)))
    assert split == split_of(rows, 5_000, 0.3, 0.2, seed=4) != split_of(rows, 5_000, 0.3, 0.2, seed=5)
    assert len(split_of(rows, 50, 0.3, 0.2, seed=4).first) == 50
    assert not split_of(rows, 5_000, 0.0, 0.0, seed=4).later


def test_a_trial_measures_planted_intents_and_says_the_same_again() -> None:
    texts, labels = labelled(600, strangers=40)
    first = trial([*texts, "?!", "123"], [*labels, "order", "order"], seeds=2)
    assert first.without_words == 2
    assert len(first.seeds) == 2
    one = first.seeds[0]
    assert one.nmi > 0.7 and one.purity > 0.9
    assert one.accuracy is not None and one.accuracy > 0.9
    assert one.ceiling == one.purity
    assert one.strange_texts == 40 and one.withheld_texts > 50 and one.labels == 5
    assert one.auroc_out_of_scope is not None and one.auroc_out_of_scope > 0.95
    assert one.auroc_withheld is not None and one.auroc_withheld > 0.8
    assert one.false_unknown is not None and one.false_unknown < 0.2
    assert first.mean.nmi == pytest.approx((first.seeds[0].nmi + first.seeds[1].nmi) / 2)
    assert first.torn_labels[0].astray > 0
    again = trial([*texts, "?!", "123"], [*labels, "order", "order"], seeds=2)
    for before, after in zip(first.seeds, again.seeds, strict=True):
        timed = {"wall_seconds", "cpu_seconds"}
        assert {k: v for k, v in asdict(before).items() if k not in timed} == {
            k: v for k, v in asdict(after).items() if k not in timed
        }


def test_what_cannot_be_measured_is_missing_and_not_zero() -> None:
    texts, labels = labelled(120)
    kept = [(text, label) for text, label in zip(texts, labels, strict=True) if label in INTENTS[:3]]
    found = trial([text for text, _ in kept], [label for _, label in kept], seeds=1, hold_out=0).mean
    assert (found.accuracy, found.false_unknown, found.auroc_withheld) == (None, None, None)
    assert (found.auroc_out_of_scope, found.out_of_scope_unknown, found.withheld_texts) == (None, None, 0)


@pytest.mark.parametrize("labels", [["a"] * 60, ["a", "b"] * 9, ["oos"] * 60])
def test_too_little_to_discover_from_is_said_with_the_remedy(labels: list[str]) -> None:
    texts = [f"please help with thing number {number} today" for number in range(len(labels))]
    with pytest.raises(ValueError, match="label at least 20 texts more of 2 or more intents"):
        trial(texts, labels)


def test_later_requests_of_real_intents_come_near_the_purity_ceiling(real_data: Path) -> None:
    texts, labels = clinc(real_data, texts=1_500, intents=30, seed=301)
    found = trial(texts, labels, most_texts=500, seeds=2).mean
    assert found.texts == 500
    assert found.accuracy is not None and found.accuracy > found.ceiling - 0.05
    assert found.auroc_withheld is not None and found.auroc_withheld > 0.8
    assert found.nmi > 0.8


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"cancel, please",stop\nwhere is it,track\n'),
        ("b.csv", "id;label;text\n1;stop;cancel, please\n2;track;where is it\n"),
        ("c.tsv", "label\ttext\nstop\tcancel, please\ntrack\twhere is it\n"),
        (
            "d.jsonl",
            '{"text": "cancel, please", "label": "stop"}\n\n{"label": "track", "text": "where is it"}\n',
        ),
        ("e.csv", b'\xef\xbb\xbftext,label\r\n"cancel, please",stop\r\nwhere is it,track\r\n'),
    ],
)
def test_texts_and_labels_are_read_from_csv_tsv_and_jsonl(tmp_path: Path, name: str, content: str) -> None:
    found = read_labelled(put(tmp_path / name, content))
    assert found.items == ("cancel, please", "where is it")
    assert found.labels == ("stop", "track")
    assert (found.of_traces, found.skipped, found.bad) == (False, 0, ())


def test_columns_may_have_other_names_and_numbers_are_labels(tmp_path: Path) -> None:
    file = put(tmp_path / "a.jsonl", '{"q": "hi there", "category": 7}\n')
    found = read_labelled(file, text_column="q", label_column="category")
    assert (found.items, found.labels) == (("hi there",), ("7",))


def test_a_file_of_trace_ids_is_told_from_one_of_texts(tmp_path: Path) -> None:
    assert read_labelled(put(tmp_path / "a.csv", "trace_id,label\nabc,stop\n")).of_traces
    assert not read_labelled(put(tmp_path / "b.csv", "trace_id,text,label\nabc,hello,stop\n")).of_traces


def test_bad_rows_are_counted_and_told_and_stop_nothing(tmp_path: Path) -> None:
    lines = [
        '{"text": "a b", "label": "x"}',
        "{broken",
        "[1]",
        '{"text": "no label"}',
        '{"label": "y", "text": [1]}',
    ]
    found = read_labelled(put(tmp_path / "a.jsonl", "\n".join([*lines, *["nonsense"] * 20])))
    assert found.items == ("a b",)
    assert found.skipped == 24
    assert found.bad[:4] == (
        "line 2: not JSON",
        "line 3: not a JSON object",
        "line 4: no label",
        "line 5: no text",
    )
    assert len(found.bad) == 5
    huge = put(tmp_path / "b.csv", "text,label\n" + "x" * 200_000 + ",long\nok then,short\nonly text\n")
    assert read_labelled(huge).labels == ("short",)
    assert read_labelled(huge).skipped == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.csv",
            "question,label\nhi,x\n",
            r"line 2: there is no column text or trace_id; the columns are: question",
        ),
        ("b.csv", "text,intent\nhi,x\n", r"line 2: there is no column label; .*--label-column"),
        ("c.jsonl", '{"text": "hi"}\n', r"line 1: there is no column label"),
        ("d.csv", "", "the file is empty: its first line names the columns"),
        ("e.csv", "text,label\n", "no row has both text and label"),
        (
            "f.csv",
            "text,label\n,x\nhi,\n",
            r"no row has both text and label \(line 2: no text; line 3: no label\)",
        ),
        (
            "g.csv",
            "text,label\ncafé,x\n".encode("latin1"),
            r"line 2: byte 0xe9 is not UTF-8: save the file as UTF-8",
        ),
        ("h.csv", "text,label\nhi,x\n".encode("utf-16"), "line 1: the file is UTF-16: save it as UTF-8"),
        ("i.xlsx", "PK", r"the name must end in \.csv, \.tsv or \.jsonl"),
        ("j.jsonl", "[" * 100_000, r"no row has both text and label \(line 1: not JSON\)"),
    ],
)
def test_errors_name_file_line_field_and_remedy(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    file = put(tmp_path / name, content)
    with pytest.raises(ValueError, match=said) as error:
        read_labelled(file)
    assert str(file) in str(error.value)


def test_intents_that_traces_were_given_are_compared_with_labels(engine: DuckDBEngine) -> None:
    given = {"a": "int_1", "b": "int_1", "c": "int_2", "d": None, "e": None, "f": "int_2"}
    rows = [
        {"date": DAY, "trace_id": one, "intent_id": intent, "score": None if one == "e" else 0.1 * place}
        for place, (one, intent) in enumerate(given.items())
    ]
    engine.lake.append("trace_intents", rows_to_table("trace_intents", rows))
    engine.lake.append(
        "intents", rows_to_table("intents", [{"date": DAY, "intent_id": "int_2", "name": "Two"}])
    )
    ids = ["a", "b", "c", "d", "e", "f", "gone", "a"]
    found = compare(engine, ids, ["x", "x", "y", "x", "oos", "z", "x", "y"])
    assert (found.traces, found.missing, found.labelled_twice) == (6, 1, 1)
    assert found.agreement is not None
    assert (found.agreement.true, found.agreement.found) == (3, 2)
    assert found.agreement.purity == pytest.approx(0.75)
    assert found.false_unknown == pytest.approx(0.2)
    assert (found.out_of_scope_traces, found.out_of_scope_unknown) == (1, 1.0)
    assert found.auroc_out_of_scope == 1.0
    assert [(one.name, one.items, one.astray) for one in found.mixed_intents] == [("Two", 2, 1)]


def test_traces_of_days_before_a_merge_count_for_the_whole(engine: DuckDBEngine) -> None:
    rows = [{"date": DAY, "trace_id": one, "intent_id": f"int_{one}", "score": 0.5} for one in "abc"]
    engine.lake.append("trace_intents", rows_to_table("trace_intents", rows))
    merged = {"date": DAY, "status": "merged"}
    chain = [
        {**merged, "intent_id": "int_a", "name": "A", "merged_into": "int_b"},
        {**merged, "intent_id": "int_b", "name": "B", "merged_into": "int_c"},
        {"date": DAY, "status": "active", "intent_id": "int_c", "name": "C"},
    ]
    engine.lake.append("intents", rows_to_table("intents", chain))
    found = compare(engine, ["a", "b", "c"], ["x", "x", "y"])
    assert found.agreement is not None and found.agreement.found == 1
    assert [(one.name, one.items, one.astray) for one in found.mixed_intents] == [("C", 3, 1)]


def test_traces_that_the_lake_does_not_have_are_said_with_the_remedy(engine: DuckDBEngine) -> None:
    with pytest.raises(ValueError, match="insights run"):
        compare(engine, ["a"], ["x"])
    engine.lake.append("trace_intents", rows_to_table("trace_intents", [{"date": DAY, "trace_id": "b"}]))
    with pytest.raises(ValueError, match="none of the 1 labelled traces"):
        compare(engine, ["a"], ["x"])
