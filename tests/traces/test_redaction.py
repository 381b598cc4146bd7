from __future__ import annotations

import re
import sys
import uuid
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces import redaction_patterns
from insights_pipeline.traces.canonical import canonical
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import RawSpan, Reject, excerpt
from insights_pipeline.traces.redaction import KINDS, Redactor, redactor
from insights_pipeline.traces.redaction_names import presidio
from insights_pipeline.traces.table import HIDDEN, Batch

REDACT = Redactor("all")
MARK = re.compile(rf"\[(?:{'|'.join(kind.upper() for kind in KINDS)})\]")
KEY_BODY = "MIIEowIBAAKCAQEA7bq\nx1/+A=="

FOUND = [
    ("write to fred.o'neil@mail.example.co.uk.", "write to fred.o'[EMAIL]."),
    ("Fred <fred+list@example.com>, Ann", "Fred <[EMAIL]>, Ann"),
    ("call +49 (0)30 901820 today", "call [PHONE] today"),
    ("call +1-415-555-0123.", "call [PHONE]."),
    ("call (415) 555-0123", "call [PHONE]"),
    ("call 415-555-0123, or 1-800-555-0199", "call [PHONE], or [PHONE]"),
    ("ring 020 7946 0958", "ring [PHONE]"),
    ("0171 1234567", "[PHONE]"),
    ("06 12 34 56 78", "[PHONE]"),
    ("0049 30 123456", "[PHONE]"),
    ("card 4111 1111 1111 1111 ok", "card [CARD] ok"),
    ("card 4111-1111-1111-1111.", "card [CARD]."),
    ("amex 378282246310005", "amex [CARD]"),
    ("amex 3782 822463 10005", "amex [CARD]"),
    ("mastercard 5555555555554444", "mastercard [CARD]"),
    ("iban DE89 3704 0044 0532 0130 00 BIC COBADEFF", "iban [IBAN] BIC COBADEFF"),
    ("GB29NWBK60161331926819", "[IBAN]"),
    ("from 203.0.113.77:8080", "from [IP]:8080"),
    ("http://203.0.113.77/x", "http://[IP]/x"),
    ("from 2001:db8:85a3::8a2e:370:7334", "from [IP]"),
    ("from fe80::1: no route", "from [IP]: no route"),
    ("ssn 536-22-8765", "ssn [SSN]"),
    ("key sk-proj-abcdEFGH1234567890abcd!", "key [KEY]!"),
    ("AKIAIOSFODNN7EXAMPLE", "[KEY]"),
    ("ghp_" + "a1B2" * 9, "[KEY]"),
    ("xoxb-123456789012-abcdefghij", "[KEY]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "[KEY]"),
    ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: [KEY]"),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}\n-----END RSA PRIVATE KEY-----\nbye", "[KEY]\nbye"),
    (f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY}", "[KEY]"),
]

LEFT = [
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00f067aa0ba902b7",
    "1234567890123456",  # 16 digits of a span id
    "12345678-1234-4123-8123-123456789012",
    "4111111111111112",  # no check digit
    "a4111111111111111b",
    "id-4111111111111111",
    "0.4111111111111111",
    "start 1712345678901 ms, 1712345678901234567 ns",
    "tokens: 123456, 128000 and 1000000",
    "order #W4082615, reservation EHGLP3, flight HAT083",
    "2024-05-15 16:00:00, 2024-05-15T15:00:00-05:00, 12:34:56.789",
    "version 1.2.3, Chrome/120.0.0.0 and v10.0.19.4",
    "127.0.0.1 and 0.0.0.0 and 255.255.255.0",
    "std::vector and a::b and Foo::Bar",
    "9f:86:d0:81:88:4c:7d:65:9a:2f:ea:a0:c5:5a:d0:15",
    "git show sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "task-specific-instructions-for-the-assistant-of-the-airline",
    "bearer authentication is what the endpoint expects",
    "logo@2x.png, node@18.0.0, @app.route",
    "000-12-3456 and 666-12-3456",
    "US12ABCD3456EFGH7890",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "$1,234.56 + 12345678 = 99",
]


@pytest.mark.parametrize(("text", "redacted"), FOUND)
def test_what_is_personal_or_secret_is_replaced(text: str, redacted: str) -> None:
    assert REDACT(text) == redacted


@pytest.mark.parametrize("text", LEFT)
def test_ids_times_counts_and_versions_are_left_alone(text: str) -> None:
    assert REDACT(text) == text
    assert REDACT(orjson.dumps({"value": text}).decode()) == orjson.dumps({"value": text}).decode()


@pytest.mark.parametrize(("text", "redacted"), FOUND)
def test_json_is_redacted_inside_its_strings_however_nested(text: str, redacted: str) -> None:
    nested, expected = f"line\n{text}\n", f"line\n{redacted}\n"
    for _ in range(3):
        nested = orjson.dumps([{"content": nested, text: 1.50}]).decode()
        expected = orjson.dumps([{"content": expected, redacted: 1.50}]).decode()
        assert REDACT(nested) == expected


def test_all_else_in_json_stays_as_it_is_to_the_byte() -> None:
    text = '{ "n": 123456789012345678901234567890, "f": 1.10e3,\t"é": "\\u00e9\\/", "to": "a@example.com" }'
    assert REDACT(text) == text.replace("a@example.com", "[EMAIL]")


def test_a_card_that_is_a_bare_number_becomes_a_string() -> None:
    text = '{"card":4111111111111111,"ns":1712345678901234567,"ok":4111111111111112,"f":4111111111111111.5}'
    assert REDACT(text) == text.replace("4111111111111111,", '"[CARD]",')
    assert REDACT("\n " + text) == "\n " + text.replace("4111111111111111,", '"[CARD]",')
    assert Redactor(["email"])(text) == text


def test_an_address_behind_an_escape_is_found() -> None:
    assert REDACT('["fred\\u0040example.com"]') == '["[EMAIL]"]'
    assert REDACT('["\\u001bfred@example.com \\bann@example.com"]') == '["\\u001b[EMAIL] \\b[EMAIL]"]'


def test_json_that_was_cut_short_is_redacted_as_text() -> None:
    assert REDACT('{"to": "fred@example.com", "bo') == '{"to": "[EMAIL]", "bo'


def test_only_what_was_chosen_is_replaced() -> None:
    text = "fred@example.com 4111111111111111 536-22-8765"
    assert Redactor(["card"])(text) == "fred@example.com [CARD] 536-22-8765"
    assert Redactor(["email", "ssn"])(text) == "[EMAIL] 4111111111111111 [SSN]"


def test_redacting_is_off_unless_asked_for() -> None:
    assert redactor() is None
    assert redactor([], patterns={}) is None
    assert redactor("all") is not None


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="cannot redact names: choose among email, phone"):
        Redactor(["email", "names"])


def test_patterns_of_ones_own_have_their_name_as_mark() -> None:
    redact = Redactor(
        [], patterns={"employee": r"\bE-[0-9]{6}\b", "member": r"(?i:member) [A-Z]{2,4}[0-9]{4}"}
    )
    assert redact('{"note":"ask \\"E-123456\\" or Member AB1234"}') == (
        '{"note":"ask \\"[EMPLOYEE]\\" or [MEMBER]"}'
    )


@pytest.mark.parametrize(
    ("name", "pattern", "why"),
    [
        ("own", r"(a+)+b", "without an upper bound"),
        ("own", r"E-\d+", r"write \{1,40\} instead"),
        ("own", r"(a|a){1,30}b", "ways to try"),
        ("own", r"(a{1,9}){1,9}b", "ways to try"),
        ("own", r"(a|aa){60}b", "ways to try"),
        ("own", r"(a)\1", "refers to another"),
        ("own", r"a{0,3}", "matches the empty text"),
        ("own", r"(a", "not a regular expression"),
        ("own", "a" * 501, "longer than 500"),
        ("Own name", r"abc", "lower-case letters"),
        ("email", r"abc", "none of"),
    ],
)
def test_a_pattern_that_is_wrong_or_may_be_slow_is_refused(name: str, pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Redactor("all", patterns={name: pattern})


_HOSTILE = [
    "a" * 25_000 + "@",
    "a@" * 12_000,
    "a@" + "a." * 12_000,
    "1 " * 12_000,
    "4111-" * 5_000,
    "+" + "1(" * 12_000,
    "1." * 12_000,
    "eyJ" * 8_000,
    "eyJaaaaaaaa." * 8_000,
    "sk-" * 8_000,
    "Bearer " + "a" * 25_000,
    "2001:" * 5_000,
    "GB29 NWBK " * 10_000,
    "-----BEGIN PRIVATE KEY-----" * 900,
    '["' + '\\"' * 12_000 + 'a@b.de"]',
    "[" * 25_000,
    '"' * 24_999 + "@b.de",
    "\\u" * 12_000,
]


@pytest.mark.parametrize("text", _HOSTILE, ids=lambda text: text[:12])
def test_texts_made_to_be_slow_are_redacted_like_any_other(text: str) -> None:
    REDACT(text)
    assert isinstance(orjson.loads(REDACT(orjson.dumps([text]).decode()))[0], str)


def test_no_repetition_of_the_built_in_patterns_is_unbounded() -> None:
    patterns = [value for value in vars(redaction_patterns).values() if isinstance(value, re.Pattern)]
    assert len(patterns) >= 6
    for pattern in patterns:
        assert not re.search(r"(?<![\\[.a-z/%])[*+](?!\])|\{[0-9]+,\}", _bare(pattern)), pattern.pattern


def _bare(pattern: re.Pattern[str]) -> str:
    """Without comments and character classes."""
    text = re.sub(r"\s#.*", "", pattern.pattern) if pattern.flags & re.VERBOSE else pattern.pattern
    return re.sub(r"\[[^\]]*\]", "C", text)


@given(st.recursive(st.none() | st.integers() | st.text() | st.sampled_from([text for text, _ in FOUND]),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))  # fmt: skip
def test_json_stays_json_of_the_same_shape(value: object) -> None:
    text = orjson.dumps(_within_64_bits(value)).decode()
    redacted = REDACT(text)
    assert _shape(orjson.loads(redacted)) == _shape(orjson.loads(text))
    assert REDACT(redacted) == redacted


def _within_64_bits(value: object) -> object:
    if isinstance(value, dict):
        return {key: _within_64_bits(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_within_64_bits(inner) for inner in value]
    return value % 2**63 if isinstance(value, int) else value


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return [_shape(inner) for inner in value.values()]
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


@given(st.uuids(), st.binary(min_size=8, max_size=16), st.integers(10**12, 2 * 10**18))
def test_random_ids_and_times_are_never_touched(ident: uuid.UUID, raw: bytes, at: int) -> None:
    for text in (str(ident), ident.hex, raw.hex(), f"{ident.hex}:{raw.hex()}", f"run-{ident}"):
        assert REDACT(text) == text
    at_ns = 1_600_000_000 * 10**9 + at % (400_000_000 * 10**9)
    for unit in (1, 10**3, 10**6):
        text = f'{{"at":{at_ns // unit},"text":"{at_ns // unit}"}}'
        assert REDACT(text) == text


def test_in_real_agent_runs_only_addresses_are_found(real_data: Path) -> None:
    path = real_data / "otlp/tau2-airline-gpt41.openinference.pb"
    found: dict[str, int] = {}
    with path.open("rb") as file:
        for record in read_records(decompressed(file), hint=path.name):
            assert isinstance(record, RawSpan)
            row = canonical(record, max_field_chars=100_000)
            for field in (row.input_text, row.output_text, row.messages, row.attributes, row.error_message):
                text = field.decode() if isinstance(field, bytes) else field or ""
                redacted = REDACT(text)
                if text.startswith(("{", "[")) and redacted != text:
                    orjson.loads(redacted)
                for mark in MARK.findall(redacted):
                    found[mark] = found.get(mark, 0) + 1
                assert redacted.count("[EMAIL]") == len(re.findall(r"[\w.]+@[\w.]+\.\w+", text))
    assert set(found) == {"[EMAIL]"}


def test_names_without_presidio_tell_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        presidio("en_core_web_sm")


def test_names_are_found_by_an_installed_pipeline_and_none_is_downloaded(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    pytest.importorskip("presidio_analyzer")
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])
    pipeline.to_disk(tmp_path / "names")
    redact = Redactor("all", names=presidio(str(tmp_path / "names")))
    assert redact("Ada Lovelace <ada@example.com>") == "[PERSON] <[EMAIL]>"
    assert redact('{"by":"Ada Lovelace","n":1}') == '{"by":"[PERSON]","n":1}'
    with pytest.raises(ValueError, match="none is downloaded"):
        presidio("en_core_web_nowhere")


def test_bytes_of_a_reject_are_hidden_while_redaction_is_on() -> None:
    record = Reject("byte 0", "broken", "Send it again.", excerpt(b"\xff\xfejane@example.com"))
    for redact, raw in ((redactor("all"), HIDDEN), (None, record.raw)):
        batch = Batch(1_772_366_400_000_000_000, 1_000, redact=redact)
        batch.add(record, "test")
        assert batch.reject_rows()["raw"].to_pylist() == [raw]
