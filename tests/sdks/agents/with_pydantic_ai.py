from __future__ import annotations

import scenario
from openai import AsyncOpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
Agent.instrument_all()

model = OpenAIChatModel(scenario.MODEL, provider=OpenAIProvider(openai_client=AsyncOpenAI(max_retries=0)))
session, user, tenant = scenario.WHO
agent = Agent(model, name="weather_agent", instructions=scenario.SYSTEM)


@agent.tool_plain
def get_weather(city: str) -> str:
    return scenario.FORECAST


def ask(question: str) -> str:
    who = {"user_id": user, "tenant_id": tenant}
    if question == scenario.STREAM:
        result = agent.run_stream_sync(question, conversation_id=session, metadata=who)
        return "".join(result.stream_text(delta=True))
    return agent.run_sync(question, conversation_id=session, metadata=who).output


scenario.run(ask)
provider.shutdown()
