"""Ground floor: messages to people by Slack, mail and webhook."""

from insights_pipeline.notify.contact_points import ContactPoint, Email, Slack, Webhook
from insights_pipeline.notify.errors import ContactPointError, DeliveryError
from insights_pipeline.notify.message import Message
from insights_pipeline.notify.outbound import Outbound
from insights_pipeline.notify.send import check, named, send, where
from insights_pipeline.notify.smtp import Smtp

__all__ = [
    "ContactPoint",
    "ContactPointError",
    "DeliveryError",
    "Email",
    "Message",
    "Outbound",
    "Slack",
    "Smtp",
    "Webhook",
    "check",
    "named",
    "send",
    "where",
]
