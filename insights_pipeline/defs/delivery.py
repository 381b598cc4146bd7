"""Sensor: finished briefs go to the contact points they are meant for, each once."""

import dagster as dg

from insights_pipeline import wiring
from insights_pipeline.brief.deliver import Report
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.settings import settings

_SECONDS = 25.0  # a tick is given up after 60 s, and the delivery begun last may take 20 s of its own


class BriefNotDeliveredError(Exception):
    """A brief did not arrive and will not be sent again by itself: a person has to mend something."""


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends finished briefs to the contact points of INSIGHTS_BRIEF_TO, each once; what does not arrive is "
    "sent again for about 17 hours.",
)
def brief_delivery(context: dg.SensorEvaluationContext, engine: EngineResource) -> dg.SkipReason:
    from insights_pipeline.brief.deliver import deliver_due
    from insights_pipeline.brief.links import Links

    config = settings()
    points = wiring.brief_points()
    if not points:
        return dg.SkipReason("INSIGHTS_BRIEF_TO is empty: briefs are sent to nobody (docs/delivery.md)")
    report = deliver_due(
        engine.engine().lake,
        wiring.state(),
        points,
        cadences=config.brief_cadences,
        when_quiet=config.brief_when_quiet,
        config=wiring.outgoing(),
        links=Links(config.ui_url),
        seconds=_SECONDS,
    )
    for outcome in report.outcomes:
        say = context.log.info if outcome.status == "sent" else context.log.warning
        say(str(outcome))
    if failed := report.of("failed"):
        raise BriefNotDeliveredError(
            f"{_told(report)}. Mend it, then `insights contact test NAME` and `insights contact send --to NAME --date "
            f"{failed[0].day}`."
        )
    return dg.SkipReason(_told(report))


def _told(report: Report) -> str:
    parts = [str(outcome) for outcome in report.outcomes]
    if report.waiting:
        parts.append(f"{report.waiting} wait to be tried again")
    if report.untried:
        parts.append(f"{report.untried} follow at the next look")
    return "; ".join(parts) or "no brief is due"
