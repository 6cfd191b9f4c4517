// Pushes one counter, one histogram and one log line with the real JavaScript SDK, as OTLP/HTTP JSON.
//
//     push.mjs ENDPOINT    ENDPOINT is host:port
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";

const endpoint = process.argv[2];
const resource = resourceFromAttributes({ "service.name": "js-http", "service.namespace": "sdk", "host.name": "ship" });

const exporter = new OTLPMetricExporter({ url: `http://${endpoint}/v1/metrics` });
const meters = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
});
const meter = meters.getMeter("sdk-test", "1.2.3");
meter.createCounter("orders.placed", { unit: "{order}" }).add(9, { kind: "chart" });
const histogram = meter.createHistogram("http.server.request.duration", { unit: "s" });
for (const seconds of [0.004, 0.03, 0.03, 2.0]) histogram.record(seconds, { "http.route": "/orders" });

const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `http://${endpoint}/v1/logs` }) })],
});
loggers.getLogger("orders", "1.0.0").emit({
  severityNumber: SeverityNumber.ERROR,
  severityText: "ERROR",
  body: "order B-9 is lost",
  attributes: { "order.id": 9, "order.total": 12.5, "order.gift": false, parts: ["hull", "mast"] },
});

await meters.shutdown();
await loggers.shutdown();
