from __future__ import annotations

import scenario
from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import OpenAI

client = OpenAI(max_retries=0)
session, user, tenant = scenario.WHO


@observe(name="get_weather", as_type="tool")
def get_weather(city: str) -> str:
    return scenario.FORECAST


@observe(name="weather_agent", as_type="agent")
def weather_agent(question: str) -> str:
    get_client().score_current_trace(name="helpful", value=1, comment="thumbs up")
    return scenario.converse(client, question, get_weather)


def ask(question: str) -> str:
    metadata = {"tenant_id": tenant}
    with propagate_attributes(session_id=session, user_id=user, metadata=metadata):
        return weather_agent(question)


scenario.run(ask)
get_client().shutdown()
