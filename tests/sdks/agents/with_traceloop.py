from __future__ import annotations

import scenario
from openai import OpenAI
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, tool

Traceloop.init(app_name="weather", resource_attributes={"deployment.environment": "staging"})

client = OpenAI(max_retries=0)
session, user, tenant = scenario.WHO


@tool(name="get_weather")
def get_weather(city: str) -> str:
    return scenario.FORECAST


@agent(name="weather_agent")
def weather_agent(question: str) -> str:
    return scenario.converse(client, question, get_weather)


Traceloop.set_association_properties({"session_id": session, "user_id": user, "tenant_id": tenant})
scenario.run(weather_agent)
