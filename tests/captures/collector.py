"""A Collector that pushes its own metrics, as a gateway whose backend goes away: its queue fills, and it drops data.

    collector.py PROGRAM PORT    PORT and the two after it are taken
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

program, port = sys.argv[1], int(sys.argv[2])
telemetry = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
# Everything small, so that minutes show what takes hours in service.
CONFIG = f"""
receivers: {{otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{port}}}}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 256}}
  batch: {{timeout: 1s}}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:{port + 1}
    sending_queue: {{queue_size: 20, num_consumers: 2}}
    retry_on_failure: {{initial_interval: 1s, max_interval: 5s, max_elapsed_time: 40s}}
service:
  pipelines:
    metrics: {{receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http]}}
    logs: {{receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http]}}
  telemetry:
    resource: {{service.name: gateway, service.instance.id: gateway-1, host.name: ship}}
    logs: {{level: fatal}}
    metrics:
      readers:
      - periodic: {{interval: 10000, exporter: {{otlp: {{protocol: http/protobuf, endpoint: "{telemetry}/v1/metrics"}}}}}}
"""


class Backend(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def push(seconds):
    until = time.time() + seconds
    while time.time() < until:
        now = str(time.time_ns())
        record = {"timeUnixNano": now, "body": {"stringValue": "a line"}}
        point = {"timeUnixNano": now, "asDouble": 1}
        bodies = {
            "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [record] * 5}]}]},
            "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "level", "gauge": {"dataPoints": [point]}}]}]}]},
        }
        for signal, body in bodies.items():
            url = f"http://127.0.0.1:{port}/v1/{signal}"
            request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
            urllib.request.urlopen(request).close()
        time.sleep(0.5)


def backend():
    server = HTTPServer(("127.0.0.1", port + 1), Backend)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
    config.write(CONFIG)
    config.flush()
    collector = subprocess.Popen([program, "--config", config.name])
    time.sleep(3)
    there = backend()
    push(60)
    there.shutdown()
    there.server_close()
    push(150)
    there = backend()
    push(30)
    collector.terminate()
    collector.wait()
