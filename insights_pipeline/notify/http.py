"""Slack's incoming webhooks and any endpoint that takes JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from insights_pipeline.notify.contact_points import Slack, Webhook
from insights_pipeline.notify.errors import DeliveryError
from insights_pipeline.notify.message import Message
from insights_pipeline.notify.outbound import Answer, Outbound, Target, post, target_of

SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_MOST_BLOCKS = 50
_WAIT = frozenset({408, 425, 429})
_NEW_URL = "make a new webhook in Slack and put its URL into the contact point"
# What Slack says in the body; a word of its own vocabulary is shown as our words, any other is not shown at all.
_SLACK_SAYS = {
    "channel_is_archived": f"the channel is archived: unarchive it, or {_NEW_URL}",
    "channel_not_found": f"the channel is gone: {_NEW_URL}",
    "no_service": f"the webhook is revoked or disabled: {_NEW_URL}",
    "no_service_id": f"the webhook's URL is incomplete: {_NEW_URL}",
    "no_active_hooks": f"the webhook is disabled: {_NEW_URL}",
    "no_team": f"the workspace is gone: {_NEW_URL}",
    "team_disabled": "the workspace is disabled",
    "invalid_token": f"the webhook's URL is not valid any more: {_NEW_URL}",
    "user_not_found": f"the user of the webhook is gone: {_NEW_URL}",
    "action_prohibited": "an administrator of the workspace does not allow it",
    "posting_to_general_channel_denied": "posting to that channel is limited to some people",
    "too_many_attachments": "it has too many parts",
    "no_text": "it has no text",
    "invalid_payload": "it cannot read the message",
    "invalid_blocks": "it cannot show the message's blocks",
    "invalid_blocks_format": "it cannot show the message's blocks",
}
_SLACK_STATUS = {
    400: "it does not take the message",
    403: "the webhook is not allowed to post",
    404: f"the webhook is revoked, or its channel is gone: {_NEW_URL}",
    410: f"the channel is archived, or the webhook is gone: {_NEW_URL}",
}


def send_slack(point: Slack, message: Message, config: Outbound) -> None:
    """Post to a channel. Raises DeliveryError and, for a URL that may not be called, ContactPointError."""
    target = target_of(point.url, config, only=SLACK_HOSTS)
    payload: dict[str, Any] = {"text": message.slack_text, "unfurl_links": False, "unfurl_media": False}
    if message.blocks:
        payload["blocks"] = _blocks(message.blocks)
    answer = post(target, _json(payload), {}, config)
    if answer.status == 200:
        return
    if _may_pass(answer):
        raise _unavailable(target, answer)
    word = answer.body[:100].decode("ascii", "replace").strip()
    remedy = _SLACK_SAYS.get(word) or _SLACK_STATUS.get(answer.status) or "it does not take the message"
    raise DeliveryError(f"Slack answers {answer.status}: {remedy}", retriable=False)


def send_webhook(point: Webhook, message: Message, config: Outbound) -> None:
    """POST the message as JSON; `Idempotency-Key` is the same each time. Raises as `send_slack`."""
    target = target_of(point.url, config)
    payload = {
        "key": message.key,
        "subject": message.title,
        "text": message.text,
        "html": message.html,
        "data": dict(message.data),
    }
    headers = {"Idempotency-Key": message.key, **point.headers}
    answer = post(target, _json(payload), headers, config)
    if 200 <= answer.status < 300:
        return
    if _may_pass(answer):
        raise _unavailable(target, answer)
    if 300 <= answer.status < 400:
        what = "it redirects, which is not followed: put the final address into the contact point"
    else:
        what = "it does not take the message; check address and headers of the contact point"
    raise DeliveryError(f"{target.where} answers {answer.status}: {what}", retriable=False)


def _may_pass(answer: Answer) -> bool:
    return answer.status in _WAIT or answer.status >= 500


def _unavailable(target: Target, answer: Answer) -> DeliveryError:
    why = "too many messages for now" if answer.status == 429 else "it cannot take the message for now"
    return DeliveryError(
        f"{target.where} answers {answer.status}: {why}", retriable=True, retry_after=answer.retry_after
    )


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """At most 50 blocks: Slack refuses a message with one more, and the first say most."""
    return [dict(block) for block in blocks[:_MOST_BLOCKS]]


def _json(payload: Mapping[str, Any]) -> bytes:
    # a lone surrogate, which a trace may hold, is not UTF-8: as an escape it is still JSON
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
