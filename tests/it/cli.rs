//! The command line's verbs that ask a running server.

use std::process::{Command, Output};

use crate::appliance::Appliance;
use crate::otlp;
use crate::until::until;
use std::time::Duration;

fn run(url: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_binnacle")).args(args).args(["--url", url]).output().unwrap()
}

/// Exit code, stdout, stderr.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn queries_and_series_are_shown_as_tables_and_as_json() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let now_ns = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let now_ns = u64::try_from(now_ns).unwrap() / 1_000_000_000 * 1_000_000_000;
    let points = [(now_ns - 60_000_000_000, 1.0), (now_ns, 0.25)];
    assert_eq!(appliance.push("/v1/metrics", otlp::gauge("api", "depth", &points)).await.unwrap(), 200);
    let at = (now_ns / 1_000_000_000).to_string();
    let url = appliance.http.clone();

    let found = said(&run(&url, &["query", "depth", "--time", &at]));
    let table = "VALUE  SERIES\n 0.25  depth{job=\"api\",service_name=\"api\"}\n";
    assert_eq!(found, (0, table.into(), String::new()));
    let (code, out, _) = said(&run(&url, &["query", "depth", "--time", &at, "--since", "1m", "--step", "30s"]));
    assert_eq!((code, out.lines().count()), (0, 4), "{out}");
    assert!(out.starts_with("depth{") && out.trim_end().ends_with(" 0.25"), "{out}");
    let (code, out, _) = said(&run(&url, &["query", "depth", "--time", &at, "--json"]));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["result"][0]["value"][1]), (0, &"0.25".into()));
    assert_eq!(said(&run(&url, &["query", "nothing", "--time", &at])).1, "no series\n");

    for (args, says) in [
        (vec!["query", "sum("], "parse error"),
        (vec!["query", "up", "--time", "soon"], "--time \"soon\""),
        (vec!["series", "--top", "0"], "1 to 10000"),
    ] {
        let (code, out, error) = said(&run(&url, &args));
        assert_eq!((code, &*out), (1, ""), "{args:?}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
    let (code, _, error) = said(&run("http://127.0.0.1:9", &["query", "up"]));
    assert!(code == 1 && error.contains("is the server running?"), "{error}");

    let (code, out, _) = said(&run(&url, &["series", "--top", "1000", "--label", "job"]));
    assert_eq!(code, 0);
    let row = out.lines().find(|line| line.ends_with("  depth")).unwrap_or_else(|| panic!("{out}"));
    assert!(row.split_whitespace().next() == Some("1") && !row.contains("never"), "{row}");
    assert!(out.contains("VALUE OF job\n"), "{out}");
    // Host metrics come on their own; nobody asked for some of them.
    until("a metric that nobody asked for", Duration::from_secs(30), || async {
        let (_, out, _) = said(&run(&url, &["series", "--never-queried", "--grown", "--json"]));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let metrics = json["metrics"].as_array().unwrap();
        assert!(metrics.iter().all(|metric| metric["last_queried"].is_null() && metric["name"] != "depth"), "{json}");
        (!metrics.is_empty()).then_some(())
    })
    .await;
    appliance.terminate();
}
