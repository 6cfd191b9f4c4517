"""A Flask service with OpenTelemetry's instrumentation, and its own clients: without failures, then every third request fails.

    serve.py SERVICE PORT
"""
import logging
import sys
import threading
import time
import urllib.error
import urllib.request

from flask import Flask
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from werkzeug.serving import make_server

service, port = sys.argv[1], int(sys.argv[2])
reader = PeriodicExportingMetricReader(OTLPMetricExporter(), 10_000)
provider = MeterProvider([reader], Resource.create({"service.name": service, "host.name": "ship"}))
metrics.set_meter_provider(provider)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask(service)
FlaskInstrumentor().instrument_app(app)


@app.get("/orders/<int:number>")
def order(number):
    return "ok"


@app.get("/broken")
def broken():
    return "broken", 500


server = make_server("127.0.0.1", port, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
begun = time.monotonic()
number = 0
while (passed := time.monotonic() - begun) < 210:
    number += 1
    path = "broken" if passed > 60 and number % 3 == 0 else f"orders/{number}"
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}").read()
    except urllib.error.HTTPError:
        pass
    time.sleep(0.2)
provider.shutdown()
