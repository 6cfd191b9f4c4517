"""OpenTelemetry's Python instrumentation of the machine: the nearest to a host agent that comes as a package."""
import time

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

reader = PeriodicExportingMetricReader(OTLPMetricExporter(), 10_000)
provider = MeterProvider([reader], Resource.create({"service.name": "agent", "host.name": "ship"}))
metrics.set_meter_provider(provider)
SystemMetricsInstrumentor().instrument()
time.sleep(210)
provider.shutdown()
