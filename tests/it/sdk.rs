//! The real SDKs: Python's over gRPC and HTTP, JavaScript's over HTTP JSON. `tests/sdk/setup` installs them; without them
//! these tests say so and pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::appliance::Appliance;

fn sdk_home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk")
}

fn installed(path: &Path) -> bool {
    let there = path.exists();
    if !there {
        eprintln!("skipped: {} is not there; tests/sdk/setup installs it", path.display());
    }
    there
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // An SDK swallows a failed export and only says so.
    for word in ["Failed", "Error", "error"] {
        assert!(!said.contains(word), "{said}");
    }
}

async fn python(transport: &str) {
    let interpreter = sdk_home().join("venv/bin/python");
    if !installed(&interpreter) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let endpoint = if transport == "grpc" { &appliance.otlp_grpc } else { &appliance.otlp_http };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/python/push.py");
    run(Command::new(interpreter).arg(script).arg(transport).arg(endpoint.trim_start_matches("http://")));

    let service = format!("py-{transport}");
    check_value(&appliance, "orders_placed_total{kind=\"book\",paid=\"true\"}", &service, "7").await;
    check_value(&appliance, "tank_level_ratio{tank=\"aft\"}", &service, "0.625").await;
    check_histogram(&appliance, &service).await;

    let rows = appliance.logs(&format!("service.name:{service}")).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!(row["body"], "order A-17 is late");
    assert_eq!(row["severity_number"], 13);
    assert_eq!(row["attributes"]["order.id"], 17);
    assert_eq!(row["attributes"]["ratio"], 0.5);
    assert_eq!(row["attributes"]["parts"], json!(["hull", "mast"]));
    assert_eq!(row["scope"]["name"], "orders");
    assert_eq!(row["resource"]["attributes"]["host.name"], "ship");
}

async fn check_value(appliance: &Appliance, selector: &str, service: &str, expected: &str) {
    let found = appliance.query(selector).await;
    assert_eq!(found.len(), 1, "{selector}: {found:?}");
    let metric = &found[0]["metric"];
    assert_eq!(metric["job"], format!("sdk/{service}"), "{metric}");
    assert_eq!(metric["host_name"], "ship", "{metric}");
    assert_eq!(metric["service_name"], service, "{metric}");
    assert_eq!(found[0]["value"][1], expected, "{selector}");
}

/// Both SDKs' default bounds are meant for milliseconds, so all four durations fall below the first real one.
async fn check_histogram(appliance: &Appliance, service: &str) {
    let name = "http_server_request_duration_seconds";
    check_value(appliance, &format!("{name}_count{{http_route=\"/orders\"}}"), service, "4").await;
    check_value(appliance, &format!("{name}_bucket{{le=\"+Inf\"}}"), service, "4").await;
    check_value(appliance, &format!("{name}_bucket{{le=\"5\"}}"), service, "4").await;
}

#[tokio::test]
async fn python_over_grpc() {
    python("grpc").await;
}

#[tokio::test]
async fn python_over_http() {
    python("http").await;
}

#[tokio::test]
async fn javascript_over_http_json() {
    let folder = sdk_home().join("js");
    if !installed(&folder.join("node_modules")) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let endpoint = appliance.otlp_http.trim_start_matches("http://");
    run(Command::new("node").current_dir(&folder).arg("push.mjs").arg(endpoint));

    check_value(&appliance, "orders_placed_total{kind=\"chart\"}", "js-http", "9").await;
    check_histogram(&appliance, "js-http").await;
    let rows: Vec<Value> = appliance.logs("service.name:js-http severity:>=error").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let attributes = &rows[0]["attributes"];
    assert_eq!(rows[0]["body"], "order B-9 is lost");
    assert_eq!(attributes["order.id"], 9);
    assert_eq!(attributes["order.total"], 12.5);
    assert_eq!(attributes["order.gift"], false);
    assert_eq!(attributes["parts"], json!(["hull", "mast"]));
}
