from __future__ import annotations

import scenario
from langsmith import Client, get_current_run_tree, traceable, tracing_context
from langsmith.wrappers import wrap_openai
from openai import OpenAI

client = wrap_openai(OpenAI(max_retries=0))
session, user, tenant = scenario.WHO
langsmith = Client()


@traceable(name="get_weather", run_type="tool")
def get_weather(city: str) -> str:
    return scenario.FORECAST


@traceable(name="weather_agent", run_type="chain")
def weather_agent(question: str) -> str:
    run = get_current_run_tree()
    langsmith.create_feedback(run.id, key="helpful", score=1, comment="thumbs up", trace_id=run.trace_id)
    return scenario.converse(client, question, get_weather)


def ask(question: str) -> str:
    who = {"session_id": session, "user_id": user, "tenant_id": tenant}
    with tracing_context(metadata={**who, "environment": "staging"}, client=langsmith):
        return weather_agent(question)


scenario.run(ask)
langsmith.flush()
