from __future__ import annotations

import os

import scenario
from openai import OpenAI
from openinference.instrumentation import TracerProvider, using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

match os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]:
    case "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    case "http/json":
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    case _:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
OpenAIInstrumentor().instrument(tracer_provider=provider)

tracer = provider.get_tracer("weather")
client = OpenAI(max_retries=0)
session, user, tenant = scenario.WHO


@tracer.tool(name="get_weather")
def get_weather(city: str) -> str:
    return scenario.FORECAST


@tracer.agent(name="weather_agent")
def weather_agent(question: str) -> str:
    return scenario.converse(client, question, get_weather)


def ask(question: str) -> str:
    metadata = {"tenant_id": tenant}
    with using_attributes(session_id=session, user_id=user, metadata=metadata):
        return weather_agent(question)


scenario.run(ask)
provider.shutdown()
