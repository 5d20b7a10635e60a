// Which spans the Vercel AI SDK really makes: node foreign_vercel.mjs v5|legacy|current, in a folder where it is
// installed. Prints them as foreign_capture.py does.
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { context, trace } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const exporter = new InMemorySpanExporter();
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));

const ai = await import('ai');
const { createOpenAI } = await import('@ai-sdk/openai');
const { createAnthropic } = await import('@ai-sdk/anthropic');
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'x' });
const anthropic = createAnthropic({ baseURL: process.env.ANTHROPIC_BASE_URL + '/v1', apiKey: 'x' });
const mode = process.argv[2];
const telemetry = { isEnabled: true, functionId: 'planner' };
let more = { experimental_telemetry: telemetry };
if (mode !== 'v5') {
  const otel = await import('@ai-sdk/otel');
  ai.registerTelemetry(mode === 'legacy' ? new otel.LegacyOpenTelemetry() : new otel.OpenTelemetry());
  more = { telemetry };
}

async function ask(model) {
  await ai.generateText({ model, prompt: 'hello there', ...more });
  const stream = ai.streamText({ model, prompt: 'hello there', ...more });
  for await (const _ of stream.textStream);
}

await ask(openai.chat('gpt-4o-mini'));
await ai.generateText({ model: openai.responses('gpt-4o-mini'), prompt: 'hello there', ...more });
const embedding = (openai.textEmbeddingModel ?? openai.embedding)('text-embedding-3-small');
await ai.embed({ model: embedding, value: 'hello there', ...more });
await ask(anthropic('claude-sonnet-4-5'));

const spans = exporter.getFinishedSpans();
const begun = (span) => span.startTime[0] * 1e9 + span.startTime[1];
spans.sort((one, other) => begun(one) - begun(other));
const places = new Map(spans.map((span, place) => [span.spanContext().spanId, place]));
const kinds = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
console.log(JSON.stringify(spans.map((span) => ({
  scope: (span.instrumentationScope ?? span.instrumentationLibrary).name,
  name: span.name,
  kind: kinds[span.kind],
  parent: places.get(span.parentSpanContext?.spanId ?? span.parentSpanId) ?? null,
  attributes: Object.fromEntries(Object.entries(span.attributes).sort()),
}))));
