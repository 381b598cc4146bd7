"""What personal data and credentials look like: how each kind is found, and the check that makes it certain.

Every repetition is bounded, so that the time to search grows with the length of a text and with nothing else.
Each pattern begins with a rare character and looks behind it: the engine then skips to the next one in C.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

KINDS = ("email", "phone", "card", "iban", "ip", "key", "ssn")


class Find(NamedTuple):
    """A part of a text, and what is put in its place."""

    start: int
    end: int
    mark: str


Finder = Callable[[str], Iterator[Find]]

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip

# A number is one only where no word, decimal point or dash touches it: else it is part of an id.
_NUMBER = re.compile(
    r"""[0-9(+](?<![\w.+-].)(?:
      (?P<phone>
          (?<=\+)[1-9](?:[ .()-]{0,2}[0-9]){7,14}                                 # +49 (0)30 123456-7
        | (?<=\()(?:[2-9][0-9]{2}|0[1-9][0-9]{1,3})\)[ ]?[0-9]{3,4}[ .-][0-9]{3,5}  # (415) 555-0123
        | (?<=1)([ .-])[2-9][0-9]{2}\2[2-9][0-9]{2}\2[0-9]{4}                      # 1-800-555-0123
        | (?<=[2-9])[0-9]{2}([ .-])[2-9][0-9]{2}\3[0-9]{4}                         # 415-555-0123
        | (?<=0)[1-9][0-9]{1,3}[ /-][0-9]{3,4}[ -]?[0-9]{3,4}                      # 0171 1234567, 020 7946 0958
        | (?<=0)[1-9]([ .-])[0-9]{2}(?:\4[0-9]{2}){3}                              # 06 12 34 56 78
        | (?<=0)0[1-9][0-9]{0,2}[ ][0-9](?:[ -]?[0-9]){6,11}                       # 0049 30 123456
      )
      | (?P<ssn>(?<=[0-8])[0-9]{2}-[0-9]{2}-[0-9]{4})
      | (?P<card>
          (?<=[2-6])[0-9]{12,18}
        | (?<=[2-6])[0-9]{3}([ -])[0-9]{4}\7[0-9]{4}\7[0-9]{1,4}(?:\7[0-9]{3})?
        | (?<=3)[0-9]{3}([ -])[0-9]{6}\8[0-9]{4,5}
      )
      | (?P<ip>(?<=[0-9])(?<!\w/.)[0-9]{0,2}(?:\.[0-9]{1,3}){3})
    )(?![\w-]|\.[0-9])""",
    re.VERBOSE | re.ASCII,
)
_DOMAIN = re.compile(
    r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}(?!(?:png|jpe?g|gif|svg|webp|css|js|ts|py|json)\b)[A-Za-z]{2,24}(?!\w)"
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALNUM = _LETTERS + "0123456789"
_LOCAL = _ALNUM + "._%+-"
_IBAN = re.compile(r"[0-9](?<=[A-Z]{2}.)(?<!\w..[0-9])[0-9](?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# Only what is given out: 2000::/3, unique local and link local. `a::b` and fingerprints are something else.
_IPV6 = re.compile(
    r""":(?<![\w:]....:)(?:(?<=[23][0-9a-f]{3}:)|(?<=f[cd][0-9a-f]{2}:)|(?<=fe[89ab][0-9a-f]:))
    [0-9a-f]{0,4}(?::[0-9a-f]{0,4}){1,6}(?![\w:])""",
    re.IGNORECASE | re.VERBOSE,
)
_KEY = re.compile(
    r"""[-_AJBb](?:
      (?<=[spr]k.)[A-Za-z0-9_-]{20,250}                              # OpenAI, Anthropic, Stripe, Langfuse
      | (?<=gh[opusr]_)[A-Za-z0-9]{36,255} | (?<=github_)pat_[A-Za-z0-9_]{22,255} | (?<=glpat-)[A-Za-z0-9_-]{20,64}
      | (?<=xox[a-z]-)[A-Za-z0-9-]{10,250}
      | (?<=hf_)[A-Za-z0-9]{30,64} | (?<=lsv2_)[a-z]{2}_[A-Za-z0-9_]{32,100}
      | (?<=A)(?:KIA|SIA)[0-9A-Z]{16}(?!\w) | (?<=A)Iza[0-9A-Za-z_-]{35}
      | (?<=eyJ)[A-Za-z0-9_-]{8,8000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,8000}
      | (?<=[Bb])earer[ ]{1,3}(?=[A-Za-z._~+/-]{0,40}[0-9])[A-Za-z0-9._~+/=-]{16,2000}
    )""",
    re.VERBOSE,
)
_BEFORE_KEYS = frozenset(
    ["ey", "sk", "pk", "rk", "gho", "ghp", "ghu", "ghs", "ghr", "github", "glpat", "hf", "lsv2"]
    + ["xox" + letter for letter in _LETTERS.lower()]
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    r"(?:[A-Za-z0-9+/=\s\\:,-]{0,16000}?-----END [A-Z ]{0,30}PRIVATE KEY-----|[A-Za-z0-9+/=\s\\]{0,16000}(?<!\s))"
)
_ISSUERS = re.compile(r"4|5[0-9]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|30[0-5]|3[5689]|6011|6[0-9]")


def card_number(text: str) -> bool:
    """Whether the digits of `text` are a payment card: a known issuer, its length, and the Luhn check digit."""
    digits = text.replace(" ", "").replace("-", "")
    if not 13 <= len(digits) <= 19 or not _ISSUERS.match(digits) or len(set(digits)) == 1:
        return False
    if digits.startswith(("34", "37")) and len(digits) != 15:
        return False
    if digits.startswith(("2", "51", "52", "53", "54", "55")) and len(digits) != 16:
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def _is_address(text: str) -> bool:
    """A host somewhere: loopback, netmasks and networks tell of nobody."""
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return False
    return not (address.is_loopback or text.startswith(("0.", "255.")) or text.endswith(".0.0"))


def _is_ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in ("000", "666") and group != "00" and serial != "0000"


def _is_phone(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return 8 <= digits <= 15 and (text[0] != "0" or digits >= 9)


_CHECKS: dict[str, Callable[[str], bool]] = {
    "card": card_number,
    "ip": _is_address,
    "phone": _is_phone,
    "ssn": _is_ssn,
}


def _numbers(kinds: frozenset[str]) -> Finder:
    def find(text: str) -> Iterator[Find]:
        for match in _NUMBER.finditer(text):
            kind = next(name for name in _CHECKS if match[name] is not None)
            if kind in kinds and _CHECKS[kind](match[0]):
                yield Find(match.start(), match.end(), f"[{kind.upper()}]")

    return find


def _emails(text: str) -> Iterator[Find]:
    for match in _DOMAIN.finditer(text):
        before = text[max(0, match.start() - 64) : match.start()]
        local = len(before) - len(before.rstrip(_LOCAL))
        if local:
            yield Find(match.start() - local, match.end(), "[EMAIL]")


def _ibans(text: str) -> Iterator[Find]:
    """Of each the part that its country says: the pattern may have taken a word in capitals after it."""
    for match in _IBAN.finditer(text):
        start = match.start() - 2
        whole = text[start : match.end()]
        length = _IBAN_LENGTHS.get(whole[:2], 99)
        ends = [place for place, char in enumerate(whole, start=1) if char != " "]
        if len(ends) < length or whole[ends[length - 1] :][:1].strip():
            continue
        compact = whole[: ends[length - 1]].replace(" ", "")
        if int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1:
            yield Find(start, start + ends[length - 1], "[IBAN]")


def _ipv6(text: str) -> Iterator[Find]:
    for match in _IPV6.finditer(text):
        start, end = match.start() - 4, match.end()
        if text[end - 2 : end] != "::" and text[end - 1] == ":":
            end -= 1  # the colon of the sentence
        try:
            IPv6Address(text[start:end])
        except AddressValueError:
            continue
        yield Find(start, end, "[IP]")


def _keys(text: str) -> Iterator[Find]:
    if "PRIVATE KEY-----" in text:
        for match in _KEY_BLOCK.finditer(text):
            yield Find(match.start(), match.end(), "[KEY]")
    for match in _KEY.finditer(text):
        start = match.start()
        before = text[max(0, start - 8) : start]
        word = before[len(before.rstrip(_ALNUM)) :]
        if word in _BEFORE_KEYS if match[0][0] in "-_J" else not word:
            yield Find(start - len(word), match.end(), "[KEY]")


def finders(kinds: frozenset[str]) -> list[Finder]:
    """What finds the chosen kinds; keys first, since the others may be found inside of them."""
    found: list[Finder] = []
    if "key" in kinds:
        found.append(_keys)
    if "email" in kinds:
        found.append(_emails)
    if "iban" in kinds:
        found.append(_ibans)
    if "ip" in kinds:
        found.append(_ipv6)
    if kinds & _CHECKS.keys():
        found.append(_numbers(kinds))
    return found
