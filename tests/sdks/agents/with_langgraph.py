from __future__ import annotations

import os

import scenario
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

session, user, tenant = scenario.WHO
if "LANGSMITH_TRACING" not in os.environ:
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    LangChainInstrumentor().instrument(tracer_provider=provider)


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return scenario.FORECAST


def ask(question: str) -> str:
    metadata = {"session_id": session, "user_id": user, "tenant_id": tenant, "environment": "staging"}
    streaming = question == scenario.STREAM
    model = ChatOpenAI(model=scenario.MODEL, max_retries=0, streaming=streaming, stream_usage=streaming)
    agent = create_agent(model, [] if streaming else [get_weather], system_prompt=scenario.SYSTEM)
    messages = [{"role": "user", "content": question}]
    return str(agent.invoke({"messages": messages}, {"metadata": metadata})["messages"][-1].content)


scenario.run(ask)
