from __future__ import annotations

import scenario
from openai import OpenAI
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

try:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
except ImportError:  # the one before it
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

provider, logs = TracerProvider(), LoggerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
trace.set_tracer_provider(provider)
_logs.set_logger_provider(logs)
OpenAIInstrumentor().instrument()

tracer = trace.get_tracer("weather")
client = OpenAI(max_retries=0)
session, user, tenant = scenario.WHO


def get_weather(city: str) -> str:
    with tracer.start_as_current_span("execute_tool get_weather") as span:
        span.set_attribute("gen_ai.operation.name", "execute_tool")
        span.set_attribute("gen_ai.tool.name", "get_weather")
        return scenario.FORECAST


def weather_agent(question: str) -> str:
    with tracer.start_as_current_span("invoke_agent weather_agent") as span:
        span.set_attribute("gen_ai.operation.name", "invoke_agent")
        span.set_attribute("gen_ai.conversation.id", session)
        span.set_attribute("user.id", user)
        span.set_attribute("tenant.id", tenant)
        return scenario.converse(client, question, get_weather)


scenario.run(weather_agent)
provider.shutdown()
logs.shutdown()
