// A node:http service with OpenTelemetry's instrumentation, and its own clients: without failures, then every third request fails.
//
//     serve.mjs SERVICE PORT
import { createRequire } from "node:module";
import { metrics } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";

const [service, port] = process.argv.slice(2);
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 10_000 });
const provider = new MeterProvider({
  resource: resourceFromAttributes({ "service.name": service, "host.name": "ship" }),
  readers: [reader],
});
metrics.setGlobalMeterProvider(provider);
registerInstrumentations({ instrumentations: [new HttpInstrumentation()], meterProvider: provider });
// Required after the instrumentation, which patches what is loaded through require.
const http = createRequire(import.meta.url)("node:http");

const server = http.createServer((request, response) => {
  response.statusCode = request.url === "/broken" ? 500 : 200;
  response.end("done");
});
await new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
const ask = (path) =>
  new Promise((resolve) =>
    http.get({ host: "127.0.0.1", port, path }, (reply) => reply.resume().on("end", resolve)),
  );
const begun = performance.now();
for (let number = 1; performance.now() - begun < 210_000; number += 1) {
  const fails = performance.now() - begun > 60_000 && number % 3 === 0;
  await ask(fails ? "/broken" : `/orders/${number}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
}
await provider.shutdown();
process.exit(0);
