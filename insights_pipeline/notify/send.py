"""One message to one contact point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from insights_pipeline.notify.contact_points import ContactPoint, Email, Slack
from insights_pipeline.notify.errors import ContactPointError, DeliveryError
from insights_pipeline.notify.http import SLACK_HOSTS, send_slack, send_webhook
from insights_pipeline.notify.mail import send_mail
from insights_pipeline.notify.message import Message
from insights_pipeline.notify.outbound import Outbound, addresses_of, target_of


def send(point: ContactPoint, message: Message, config: Outbound) -> None:
    """Send; returns when the other side has taken the message. Raises DeliveryError, also for a wrong set-up."""
    try:
        if isinstance(point, Slack):
            send_slack(point, message, config)
        elif isinstance(point, Email):
            send_mail(point, message, config)
        else:
            send_webhook(point, message, config)
    except ContactPointError as error:
        raise DeliveryError(str(error), retriable=False) from None


def where(point: ContactPoint, config: Outbound) -> str:
    """Where a point's messages go, without what is secret of it. Raises ContactPointError where that is wrong."""
    if isinstance(point, Email):
        if config.smtp is None:
            raise ContactPointError(f"contact point {point.name}: mail needs a server: set INSIGHTS_SMTP_URL")
        return f"{', '.join(point.to)} by {config.smtp.where}"
    try:
        return target_of(point.url, config, only=SLACK_HOSTS if isinstance(point, Slack) else ()).where
    except ContactPointError as error:
        raise ContactPointError(f"contact point {point.name}: {error}") from None


def check(point: ContactPoint, config: Outbound) -> str:
    """`where`, once its name is known to have addresses that may be called; nothing is sent.

    Raises ContactPointError as `where`, and DeliveryError for the name.
    """
    said = where(point, config)
    if isinstance(point, Email):
        return said
    try:
        addresses_of(target_of(point.url, config, only=SLACK_HOSTS if isinstance(point, Slack) else ()))
    except DeliveryError as error:
        raise DeliveryError(
            f"contact point {point.name}: {error.reason}", retriable=error.retriable
        ) from None
    return said


def named(points: Mapping[str, ContactPoint], names: Iterable[str], what: str = "") -> list[ContactPoint]:
    """The points of these names, each once. Raises ContactPointError, naming the setting `what`, for an unknown one."""
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in points]:
        known = ", ".join(sorted(points)) or "none: set INSIGHTS_CONTACT_POINTS"
        raise ContactPointError(
            f"{what and what + ': '}there is no contact point {', '.join(map(repr, unknown))}; known are {known}"
        )
    return [points[name] for name in wanted]
