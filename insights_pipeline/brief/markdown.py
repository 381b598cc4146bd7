"""The brief as markdown, by `templates/brief.md`: what Dagster and `insights brief` show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.templating import environment
from insights_pipeline.brief.wording import Told, page

if TYPE_CHECKING:
    from jinja2 import Template

_BREAK = "  \n  "  # a new line of the same item
# What makes markup inside of a line. Brackets are enough against links and images; an underscore inside a word is one.
_INLINE = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"^(?=[#+=-])|^(?:\d{1,9})(?=[.)])")  # … and what makes a block at the start of one


def markdown(facts: Facts, *, links: Links | None = None, summary: str | None = None) -> str:
    """The whole brief. Text that came from traces is escaped, so that it cannot become markup."""
    words = page(facts, links=links, summary=summary)
    lines = [_BREAK.join(_line(told)) for told in words.lines]
    return _template().render(page=words, lines=lines).strip() + "\n"


def escape(text: str) -> str:
    """Text as literal markdown: no links, images, emphasis, HTML, line breaks or control characters."""
    return _INLINE.sub(r"\\\g<0>", units.one_line(text))


def line(text: str) -> str:
    """Text as a literal line of its own: it starts no heading, list, quote or rule either."""
    return _BLOCK.sub(r"\g<0>\\", escape(text))


def _line(told: Told) -> Iterator[str]:
    mark = f"{escape(told.mark)} " if told.mark else ""
    change = f" **{escape(told.change)}**" if told.change else ""
    values = f" ({escape(told.values)})" if told.values else ""
    what = f"{escape(told.verb)}{change}{values}, {escape(told.since)}"
    yield f"{mark}[{told.label}] **{escape(told.subject)}**: {what}"
    if told.details:
        yield line("; ".join(told.details))
    references = [f"`{told.more}`"] if told.more else []
    if told.traces:
        before = "".join(f" (before: `{one}`)" for one in told.traces_before)
        references.append("traces " + ", ".join(f"`{one}`" for one in told.traces) + before)
    if references:
        yield " · ".join(references)


@cache
def _template() -> Template:
    # Markdown, not HTML: the filter `md` does the escaping.
    templates = environment(autoescape=False)
    templates.filters["md"] = line
    return templates.get_template("brief.md")
