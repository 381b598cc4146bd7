"""docs/sources.md says what the tests do: the same variables, lines that the agents have, and every gap."""

from __future__ import annotations

import re

import pytest

from tests.sdks.environments import HERE, REQUIREMENTS, RUNS
from tests.sdks.gaps import GAPS

PAGE = (HERE.parents[1] / "docs/sources.md").read_text()
# `<!-- tried: RUN, RUN -->`, then the variables, then (not everywhere) the program
_TRIED = re.compile(
    r"<!-- tried: (?P<runs>[^>]*) -->\n```sh\n(?P<variables>.*?)```\n(?P<rest>.*?)(?=\n##|<!--|\Z)", re.DOTALL
)
_CODE = re.compile(r"```(?:python|js)\n(.*?)```", re.DOTALL)
_PLACES = {"receiver": "http://localhost:4318", "grpc": "http://localhost:4317", "key": "$KEY"}
SECTIONS = {
    run: (match["variables"], match["rest"])
    for match in _TRIED.finditer(PAGE)
    for run in match["runs"].split(", ")
}


@pytest.mark.parametrize("run", RUNS)
def test_the_page_sets_the_variables_that_the_agent_was_run_with(run: str) -> None:
    settings = RUNS[run]["env"]
    assert isinstance(settings, dict)
    written = dict(
        line.removeprefix("export ").split("=", 1)
        for line in SECTIONS[run][0].splitlines()
        if line.startswith("export ")
    )
    assert {name: value.strip('"') for name, value in written.items()} == {
        name: value.format(**_PLACES) for name, value in settings.items()
    }


@pytest.mark.parametrize("run", RUNS)
def test_the_code_on_the_page_is_in_the_agent(run: str) -> None:
    agent = (HERE / "agents" / str(RUNS[run]["agent"])).read_text()
    known = {line.strip() for line in agent.splitlines()}
    shown = [line.strip() for block in _CODE.findall(SECTIONS[run][1]) for line in block.splitlines()]
    assert [line for line in shown if line and line not in known] == []


def test_the_page_tells_of_every_gap() -> None:
    assert [gap.why for gap in GAPS if gap.why not in PAGE] == []


def test_the_page_names_every_version_that_was_tried() -> None:
    for requirements in REQUIREMENTS.values():
        assert f"`{requirements[0]}`" in PAGE
