//! Other people's agents: rsyslog, and the Node exporter that is scraped. `tests/senders/setup` fetches both; without them these tests
//! say so and pass.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::appliance::Appliance;
use crate::free_address::free_address;
use crate::peers::Peer;
use crate::until::until;

const WITHIN: Duration = Duration::from_secs(60);

/// rsyslog with a socket for each transport, as `/dev/log` is one.
fn rsyslog_config(home: &Path, tcp: &str, udp: &str) -> String {
    let home = home.display();
    let forward = |name: &str, address: &str, more: &str| {
        let (host, port) = address.split_once(':').unwrap();
        format!(
            "ruleset(name=\"{name}\") {{ action(type=\"omfwd\" target=\"{host}\" port=\"{port}\" protocol=\"{name}\" template=\"RSYSLOG_SyslogProtocol23Format\" action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" {more}) }}\ninput(type=\"imuxsock\" Socket=\"{home}/{name}.sock\" Ruleset=\"{name}\")\n"
        )
    };
    let octets = "TCP_Framing=\"octet-counted\"";
    format!(
        "global(workDirectory=\"{home}\" maxMessageSize=\"64k\" localHostname=\"aurora\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n{}{}",
        forward("tcp", tcp, octets),
        forward("udp", udp, "")
    )
}

#[tokio::test]
async fn rsyslog_over_tcp_and_udp() {
    if crate::peers::program("senders", "rsyslogd").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (tcp, udp) = (free_address(), free_address());
    let text = format!("[syslog]\ntcp = \"{tcp}\"\nudp = \"{udp}\"\n[rules]\nbuiltin = false\n");
    std::fs::write(home.path().join("binnacle.toml"), text).unwrap();
    let appliance = Appliance::start(home.path());
    std::fs::write(home.path().join("rsyslog.conf"), rsyslog_config(home.path(), &tcp, &udp)).unwrap();
    let _rsyslog = Peer::rsyslog(home.path()).unwrap();
    let long = format!("long {}", "x".repeat(3_000));
    for transport in ["tcp", "udp"] {
        let socket = UnixDatagram::unbound().unwrap();
        let path = home.path().join(format!("{transport}.sock"));
        until("rsyslog's socket", WITHIN, || async { socket.connect(&path).ok() }).await;
        let send = |message: String| socket.send(message.as_bytes()).unwrap();
        send(format!("<11>Nov 22 07:00:00 {transport}-app[4711]: Grüße \"an\" ]alle, 100 % of <them>"));
        send(format!("<158>Nov 22 07:00:00 {transport}-app: {long}"));
        send(format!("<14>Nov 22 07:00:00 {transport}-app: two\nlines"));
        for n in 0..200 {
            send(format!("<14>Nov 22 07:00:00 {transport}-many: number {n}"));
            // What overtakes rsyslog's own queue is dropped by the kernel, over UDP: not what is looked at.
            if n % 20 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    for transport in ["tcp", "udp"] {
        let rows = until(&format!("all over {transport}"), WITHIN, || async {
            let many = appliance.logs(&format!("service.name:{transport}-many")).await;
            let few = appliance.logs(&format!("service.name:{transport}-app")).await;
            (many.len() == 200 && few.len() == 3).then_some(few)
        })
        .await;
        let with = |word: &str| {
            let found = rows.iter().find(|row| row["body"].as_str().is_some_and(|body| body.contains(word)));
            found.unwrap_or_else(|| panic!("no {word} over {transport}: {rows:?}"))
        };
        let first = with("Grüße");
        // To rsyslog the space behind the tag is the message's first character, and it says so in its RFC 5424 form.
        assert_eq!(first["body"], " Grüße \"an\" ]alle, 100 % of <them>");
        assert_eq!(first["severity_number"], 17, "{first}");
        assert_eq!(first["resource"]["attributes"]["host.name"], "aurora", "{first}");
        assert_eq!(first["attributes"]["syslog.procid"], "4711", "{first}");
        assert_eq!(with("long")["body"], format!(" {long}"));
        assert_eq!(with("long")["attributes"]["syslog.facility"], 19, "{}", with("long"));
        // rsyslog itself writes control characters as octal numbers.
        assert_eq!(with("two")["body"], " two#012lines");
    }
}

#[tokio::test]
async fn hosts_of_the_node_exporter_are_watched_by_the_packs() {
    if crate::peers::program("senders", "prometheus-node-exporter").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let address = free_address();
    let text = format!(
        "[[scrape]]\njob = \"node\"\ntargets = [\"{address}\"]\ninterval = \"1s\"\n[rules]\nevaluation_interval = \"1s\"\n[host_metrics]\nenabled = false\n"
    );
    std::fs::write(home.path().join("binnacle.toml"), text).unwrap();
    let exporter = Peer::node_exporter(home.path(), &address).unwrap();
    let appliance = Appliance::start(home.path());
    let value = async |expr: String| {
        let rows = appliance.query(&expr).await;
        rows.first().map(|row| row["value"][1].as_str().unwrap().parse::<f64>().unwrap())
    };
    for name in ["host_cpu_busy:ratio", "host_memory_used:ratio", "fs_used:ratio"] {
        let expr = format!("binnacle:{name}{{host_name=\"127.0.0.1\",instance=\"{address}\"}}");
        let ratio = until(&expr, WITHIN, || value(expr.clone())).await;
        assert!((0.0..=1.0).contains(&ratio), "{expr}: {ratio}");
    }
    drop(exporter);
    let pending = format!("ALERTS{{alertname=\"TargetDown\",instance=\"{address}\",alertstate=\"pending\"}}");
    until(&pending, WITHIN, || value(pending.clone())).await;
}
