from __future__ import annotations

import scenario
from langfuse.decorators import langfuse_context, observe
from langfuse.openai import OpenAI

client = OpenAI(max_retries=0)
session, user, tenant = scenario.WHO


@observe(name="get_weather")
def get_weather(city: str) -> str:
    return scenario.FORECAST


@observe(name="weather_agent")
def weather_agent(question: str) -> str:
    langfuse_context.update_current_trace(session_id=session, user_id=user, metadata={"tenant_id": tenant})
    langfuse_context.score_current_trace(name="helpful", value=1, comment="thumbs up")
    return scenario.converse(client, question, get_weather)


scenario.run(weather_agent)
langfuse_context.flush()
