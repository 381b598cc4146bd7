"""Ground floor: messages to people by Slack, mail and webhook."""
