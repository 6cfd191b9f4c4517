"""Pushes one counter, one gauge, one histogram and one log line with the real Python SDK.

    push.py grpc|http ENDPOINT    ENDPOINT is host:port
"""
import logging
import sys

from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

transport, endpoint = sys.argv[1:]
if transport == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    metric_exporter = OTLPMetricExporter(endpoint=f"http://{endpoint}", insecure=True)
    log_exporter = OTLPLogExporter(endpoint=f"http://{endpoint}", insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    metric_exporter = OTLPMetricExporter(endpoint=f"http://{endpoint}/v1/metrics")
    log_exporter = OTLPLogExporter(endpoint=f"http://{endpoint}/v1/logs")

resource = Resource.create({"service.name": f"py-{transport}", "service.namespace": "sdk", "host.name": "ship"})
meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter, 3_600_000)], resource)
meter = meters.get_meter("sdk-test", "1.2.3")
meter.create_counter("orders.placed", "{order}", "Orders placed").add(7, {"kind": "book", "paid": True})
meter.create_gauge("tank.level", "1", "How full").set(0.625, {"tank": "aft"})
histogram = meter.create_histogram("http.server.request.duration", "s", "Request durations")
for seconds in (0.004, 0.03, 0.03, 2.0):
    histogram.record(seconds, {"http.route": "/orders"})

loggers = LoggerProvider(resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
set_logger_provider(loggers)
log = logging.getLogger("orders")
log.addHandler(LoggingHandler(logging.NOTSET, loggers))
log.warning("order %s is late", "A-17", extra={"order.id": 17, "parts": ["hull", "mast"], "ratio": 0.5})

meters.shutdown()
loggers.shutdown()
