"""In which unit a file of Langfuse tells the time to the first token."""

from __future__ import annotations

from typing import Any

from insights_pipeline.traces.exports.langfuse_observation import TtftUnit, ttft_of
from insights_pipeline.traces.exports.values import field, moment

_CLOSE = 0.05  # the share by which a time told and a time computed may differ, besides a few milliseconds


class FileUnit:
    """The unit, once a row of the file gives evidence of it; `known` is None until then."""

    def __init__(self) -> None:
        self.known: TtftUnit | None = None

    def learn(self, fields: dict[str, Any]) -> None:
        """Look at one observation.

        Evidence is the time of the first token beside it; a value that would be longer than the whole call if it were
        seconds; and a fraction, which milliseconds, counted in whole numbers, do not have.
        """
        told = ttft_of(fields)
        if self.known is None and told is not None:
            self.known = _unit(told, fields)


def _unit(told: float, fields: dict[str, Any]) -> TtftUnit | None:
    start = moment(field(fields, "startTime"))
    first, end = moment(field(fields, "completionStartTime")), moment(field(fields, "endTime"))
    if first and start:
        seconds = (first - start) / 1e9
        if abs(told - seconds) <= _CLOSE * seconds + 0.002:
            return "s"
        if abs(told - seconds * 1_000) <= _CLOSE * seconds * 1_000 + 2:
            return "ms"
    if end and start and told > (end - start) / 1e9 + 0.001:
        return "ms"
    return None if told.is_integer() else "s"
