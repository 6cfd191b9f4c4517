//! The life of the process: alive and ready, its own metrics, an ordered stop, a second instance, a newcomer's configuration.

use std::process::Command;
use std::time::Duration;

use crate::appliance::Appliance;
use crate::until::until;

#[tokio::test]
async fn a_fresh_server_is_ready_and_stores_its_own_metrics() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("binnacle.toml"), "[host_metrics]\ninterval = \"1s\"\n").unwrap();
    let appliance = Appliance::start(home.path());
    for path in ["/health", "/healthz", "/ready"] {
        assert_eq!(appliance.get(path).await.0, 200, "{path}");
    }
    let (status, metrics) = appliance.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("# TYPE binnacle_store_commits_total counter"), "{metrics}");
    for expr in ["binnacle_store_commits_total", "system_cpu_time_seconds_total", "system_memory_usage_bytes"] {
        until(expr, Duration::from_secs(20), || async { (!appliance.query(expr).await.is_empty()).then_some(()) })
            .await;
    }
    for line in appliance.log().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["level", "timestamp", "message"] {
            assert!(entry.get(field).is_some(), "no {field} in {line}");
        }
    }
    appliance.terminate();
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let second = Command::new(env!("CARGO_BIN_EXE_binnacle"))
        .current_dir(home.path())
        .args(["serve", "--listen-http", "127.0.0.1:0", "--listen-otlp-http", "127.0.0.1:0"])
        .args(["--listen-otlp-grpc", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use by another binnacle"), "{said}");
    assert_eq!(appliance.get("/ready").await.0, 200);
}

#[test]
fn a_wrong_configuration_is_refused_with_line_and_nearest_name() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("binnacle.toml"), "[retention]\nmetric = \"9d\"\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_binnacle")).current_dir(home.path()).arg("serve").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("binnacle.toml:2") && said.contains("did you mean \"metrics\""), "{said}");
}

#[test]
fn check_reads_the_built_in_packs() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_binnacle")).current_dir(home.path()).arg("check").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("host.yml:") && said.contains("service.yml:") && said.contains("self.yml:"), "{said}");
}
