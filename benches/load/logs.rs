//! Lines of common server software with fresh numbers, 1,000 records of one service and host a request.

use binnacle::otlp_out::{self, int_attribute, text_attribute};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use crate::push::Body;
use crate::rng::{hash, unit};

const RECORDS: usize = 2_180_000;
const RECORDS_PER_REQUEST: usize = 1_000;
const SERVICES: usize = 16;
const HOSTS: usize = 4;

/// How each service begins its lines: with the time, who writes, and often whom for, as such software does. `#` is as in [`LINES`].
const HEADS: [&str; SERVICES] = [
    "081109 # # INFO dfs.DataNode$PacketResponder: ",
    "081110 # # INFO dfs.DataBlockScanner: ",
    "Dec 10 # LabSZ sshd[#]: ",
    "[Sun Dec 04 2005] [#] [worker 12] [notice] ",
    "nova-api.log.1.2017-05-16 # 25746 INFO nova.osapi_compute.wsgi.server [req-38101a0b-2096-447d-96ea-a692162415ae #] ",
    "nova-compute.log.1.2017-05-16 # 2931 INFO nova.virt.libvirt.imagecache [req-addc1839-2ed5-4778-b57e-5854eb7b8b09 #] ",
    "2015-07-29 # - INFO  [SendWorker:188978561024:QuorumCnxManager$SendWorker@#] - ",
    "17/06/09 # INFO executor.CoarseGrainedExecutorBackend: ",
    "- # 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50 R02-M1-N0-C:J12-U11 RAS KERNEL INFO ",
    "- # 2005.07.11 R24-M0-N4-C:J08-U01 2005-07-11-09.12.31 R24-M0-N4-C:J08-U01 RAS APP FATAL ",
    "- # 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[#]: ",
    "Jul  1 # calvisitor-10-105-160-95 kernel[0]: ",
    "[10.30 #] chrome.exe *64 - ",
    "2016-09-28 # Info                  CBS    SQM: service stack host: ",
    "20171223-# |Step_LSC|30002312|2617| ",
    "03-17 #  1702  2395 D WindowManager: ",
];

/// `#` is redrawn: up to six digits half of the time, else the same number each time.
const LINES: [&str; 32] = [
    "Received block blk_# of size 67108864 from /10.251.#.102",
    "PacketResponder 1 for block blk_# terminating",
    "BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.43.21:50010 is added to blk_# size 67108864",
    "Failed password for invalid user admin from 173.234.31.186 port # ssh2",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186",
    "Connection closed by 10.9.#.7 [preauth]",
    "workerEnv.init() ok /etc/httpd/conf/workers2.properties",
    "mod_jk child workerEnv in error state #",
    "jk2_init() Found child # in scoreboard slot 10",
    "GET /v2/54fadb412c4e40cdbaed9335e4c35a9e/servers/detail HTTP/1.1 status: 200 len: # time: 0.2477829",
    "[instance: b9000564-fe1a-409b-b8cc-#] VM Started (Lifecycle Event)",
    "Active base files: /var/lib/nova/instances/_base/a489c868f0c37da93b76227c91bb03908ac0e742",
    "Session: Closing sessionid 0x14f05578bd8000f due to timeout # ms",
    "Received connection request /10.10.34.#:45307",
    "Connection broken for id 188978561024, my id = 1, error = java.io.IOException at port #",
    "Executor updated: app-20150616171224-0001/# is now RUNNING",
    "Running task #.0 in stage 0.0 (TID 42)",
    "Found block rdd_42_# locally",
    "ciod: Error reading message prefix after LOGIN_MESSAGE on CioStream socket to 172.16.96.116:#",
    "instruction cache parity error corrected at address 0x#",
    "generating core.#",
    "kernel: Out of memory: Killed process # (python) total-vm:7430284kB",
    "kernel: nf_conntrack: table full, dropping packet # times",
    "session opened for user root by (uid=0) pid #",
    "proxy.cse.cuhk.edu.hk:5070 close, # bytes sent, 434 bytes received, lifetime 00:02",
    "open through proxy proxy.cse.cuhk.edu.hk:5070 HTTPS attempt #",
    "CBS Loaded Servicing Stack v6.1.7601.# with Core: winsxs",
    "Warning: Unrecognized packageExtended attribute, retry in # ms",
    "onStandStepChanged # steps since boot, calculateCaloriesWithCache totalCalories=126775",
    "setTodayTotalDetailSteps=1514038440000##7007##548365##8661##12361##27173954 failed # times",
    "printFreezingDisplayLogsopening app wtoken = AppWindowToken token=#",
    "acquireLockInternal: lock=189570404, flags=0x1, tag=\"View Lock\", uid=# pid=2227",
];

pub(crate) fn requests(scale: f64) -> usize {
    (RECORDS as f64 * scale) as usize / RECORDS_PER_REQUEST
}

/// Time of the first record.
pub(crate) fn start_ns() -> u64 {
    binnacle::clock::now_ns() / 86_400_000_000_000 * 86_400_000_000_000 - 7_200_000_000_000
}

pub(crate) fn request(index: usize) -> Body {
    let base_ns = start_ns();
    let service = index % SERVICES;
    let host = index / SERVICES % HOSTS;
    let at_ns = base_ns + index as u64 * 3_000_000_000;
    let log_records = (0..RECORDS_PER_REQUEST)
        .map(|row| record((index * RECORDS_PER_REQUEST + row) as u64, service, at_ns + row as u64 * 2_900_000))
        .collect();
    let resource = Some(otlp_out::resource(&[
        ("service.name", &format!("service-{service:02}")),
        ("service.namespace", "load"),
        ("host.name", &format!("host-{host}")),
    ]));
    let scope_logs = vec![ScopeLogs { scope: Some(otlp_out::scope("load")), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    Body { bytes: ExportLogsServiceRequest { resource_logs }.encode_to_vec(), items: RECORDS_PER_REQUEST }
}

fn record(place: u64, service: usize, at_ns: u64) -> LogRecord {
    let draw = |kind: u64| hash(place << 5 | kind);
    // Each service says its own few lines.
    let line = [HEADS[service], LINES[(service * 2 + draw(0) as usize % 4) % LINES.len()]].concat();
    let mut body = String::with_capacity(line.len() + 32);
    for (part, text) in (0..).zip(line.split('#')) {
        if part > 0 {
            let fresh = draw(16 + part).is_multiple_of(2);
            let number = if fresh { draw(24 + part) % 1_000_000 } else { 4_710 + part };
            body.push_str(&number.to_string());
        }
        body.push_str(text);
    }
    let lower = body.to_ascii_lowercase();
    let (severity_number, severity_text) = if ["error", "fail"].iter().any(|word| lower.contains(word)) {
        (17, "ERROR")
    } else if lower.contains("warn") {
        (13, "WARN")
    } else {
        (9, "INFO")
    };
    let mut attributes = vec![
        text_attribute("thread.name", &format!("worker-{}", draw(9) % 16)),
        text_attribute("request.id", &format!("{:016x}", draw(10))),
        int_attribute("http.status", [200, 200, 200, 204, 404, 500][draw(11) as usize % 6]),
    ];
    if draw(12) % 3 == 0 {
        attributes.push(int_attribute("user.id", (draw(13) % 5_000) as i64));
    }
    let mut record = LogRecord {
        time_unix_nano: at_ns,
        severity_number,
        severity_text: severity_text.into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body)) }),
        attributes,
        ..LogRecord::default()
    };
    if unit(place << 5 | 14) < 0.2 {
        record.trace_id = [draw(15).to_be_bytes(), draw(6).to_be_bytes()].concat();
        record.span_id = draw(7).to_be_bytes().to_vec();
    }
    record
}
