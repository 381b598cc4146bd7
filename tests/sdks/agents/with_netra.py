from __future__ import annotations

import scenario
from netra import Netra
from netra.decorators import agent, task
from openai import OpenAI

Netra.init(app_name="weather", environment="staging")

client = OpenAI(max_retries=0)
session, user, tenant = scenario.WHO


@task(name="get_weather")
def get_weather(city: str) -> str:
    return scenario.FORECAST


@agent(name="weather_agent")
def weather_agent(question: str) -> str:
    Netra.set_session_id(session)
    Netra.set_user_id(user)
    Netra.set_tenant_id(tenant)
    return scenario.converse(client, question, get_weather)


scenario.run(weather_agent)
Netra.shutdown()
