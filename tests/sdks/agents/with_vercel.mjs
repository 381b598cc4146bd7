// The scenario of scenario.py, which comes in the environment: versions 5 and 7 differ in how telemetry is told who asks.
import * as ai from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { resourceFromAttributes, detectResources, envDetector } from "@opentelemetry/resources";
import { z } from "zod";

const scenario = JSON.parse(process.env.SCENARIO);
const provider = new NodeTracerProvider({
  resource: detectResources({ detectors: [envDetector] }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();

const who = { sessionId: scenario.session, userId: scenario.user, tenantId: scenario.tenant };
let telemetry = { experimental_telemetry: { isEnabled: true, functionId: "weather_agent", metadata: who } };
if (ai.registerTelemetry) {
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  ai.registerTelemetry(new OpenTelemetry({ runtimeContext: true }));
  const includeRuntimeContext = { sessionId: true, userId: true, tenantId: true };
  telemetry = { runtimeContext: who, telemetry: { functionId: "weather_agent", includeRuntimeContext } };
}

const model = createOpenAI({}).chat(scenario.model);
const get_weather = ai.tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async () => scenario.forecast,
});

async function ask(question) {
  const request = { model, system: scenario.system, prompt: question, maxRetries: 0, ...telemetry };
  if (question === scenario.stream) {
    return await ai.streamText(request).text;
  }
  const stopWhen = ai.stepCountIs(5);
  return (await ai.generateText({ ...request, tools: { get_weather }, stopWhen })).text;
}

for (const question of scenario.turns) {
  const started = performance.now();
  const outcome = {};
  try {
    outcome.answer = await ask(question);
  } catch (error) {
    outcome.raised = error.name;
  }
  console.log(JSON.stringify({ question, ms: performance.now() - started, ...outcome }));
}
await provider.shutdown();
