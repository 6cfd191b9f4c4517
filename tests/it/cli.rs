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

/// What a process prints, line by line, each within a deadline.
struct Lines {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Lines {
    fn of(url: &str, args: &[&str]) -> Lines {
        use std::io::BufRead as _;
        let mut child = Command::new(env!("CARGO_BIN_EXE_binnacle"))
            .args(args)
            .args(["--url", url])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // The test may have seen enough.
            stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)).ok();
        });
        Lines { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("a line comes in time")
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn logs_are_searched_like_grep_and_followed_over_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let now_ns = || {
        u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
    };
    let begun_ns = now_ns();
    let bodies: Vec<String> = (0..2_500).map(|n| format!("order {n} \u{1b}[31mplaced\u{7}")).collect();
    let records = bodies
        .iter()
        .zip(0..)
        .map(|(body, n)| (begun_ns - 3_000_000_000 + n * 1_000_000, body.clone()))
        .collect::<Vec<_>>();
    assert_eq!(appliance.push("/v1/logs", otlp::logs("shop", &records)).await.unwrap(), 200);
    let url = appliance.http.clone();

    let (code, out, error) = said(&run(&url, &["logs", "order", "-n", "2"]));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len(), &*error), (0, 2, ""), "{out}");
    assert!(lines[0].ends_with("INFO  shop order 2498 placed␇") && lines[1].contains("order 2499"), "{out:?}");
    let (code, out, _) = said(&run(&url, &["logs", "order", "-n", "0", "--json"]));
    assert_eq!((code, out.lines().count()), (0, 2_500));
    let first: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["body"], bodies[0].as_str());
    let (_, out, _) = said(&run(&url, &["logs", "/order 24[0-9]{2}/", "-n", "1500", "--color", "always"]));
    assert!(out.lines().count() == 100 && out.contains("\u{1b}[32mINFO \u{1b}[0m"), "{out:?}");
    assert_eq!(said(&run(&url, &["logs", "nothing-like-this"])), (1, String::new(), String::new()));
    for (args, says) in [
        (vec!["logs", "(a"], "1:1: parse error: this parenthesis is never closed"),
        (vec!["logs", "--since", "soon"], "--since \"soon\""),
        (vec!["logs", "--until", "soon"], "--until \"soon\""),
        (vec!["logs", "--follow", "(a"], "never closed"),
    ] {
        let (code, out, error) = said(&run(&url, &args));
        assert_eq!((code, &*out), (2, ""), "{args:?}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
    let (code, _, error) = said(&run("http://127.0.0.1:9", &["logs", "--follow"]));
    assert!(code == 2 && error.contains("is the server running?"), "{error}");

    let tail = Lines::of(&url, &["logs", "order", "--follow", "-n", "1"]);
    assert!(tail.next().contains("order 2499"));
    let push = async |appliance: &Appliance, from: u64| {
        let records: Vec<(u64, String)> = (from..from + 3).map(|n| (now_ns(), format!("order {n}"))).collect();
        assert_eq!(appliance.push("/v1/logs", otlp::logs("shop", &records)).await.unwrap(), 200);
    };
    push(&appliance, 5_000).await;
    for n in 5_000..5_003 {
        assert!(tail.next().ends_with(&format!("order {n}")));
    }
    // Gone and back at the same address, with records that came before the tail did.
    let port = url.rsplit(':').next().unwrap().to_owned();
    appliance.terminate();
    let appliance = Appliance::start_with(home.path(), &["--listen-http", &format!("127.0.0.1:{port}")]);
    push(&appliance, 6_000).await;
    for n in 6_000..6_003 {
        assert!(tail.next().ends_with(&format!("order {n}")));
    }
    drop(tail);
    appliance.terminate();
}

#[tokio::test]
async fn a_running_server_is_backed_up_and_its_copy_serves() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    let verb = |args: &[&str]| {
        said(&Command::new(env!("CARGO_BIN_EXE_binnacle")).current_dir(home.path()).args(args).output().unwrap())
    };
    let appliance = Appliance::start(home.path());
    let now_ns = binnacle::clock::now_ns();
    assert_eq!(appliance.push("/v1/metrics", otlp::gauge("api", "depth", &[(now_ns, 7.0)])).await.unwrap(), 200);
    let (code, out, error) = verb(&["backup", "copy"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.starts_with("copied ") && out.trim_end().ends_with("tenants: default"), "{out}");
    let (code, _, error) = verb(&["backup", "copy"]);
    assert!(code == 1 && error.contains("is not empty"), "{error}");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut list = Command::new(env!("CARGO_BIN_EXE_binnacle"));
    let output = list.current_dir(home.path()).args(["tenant", "list"]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("writing to stdout"), "{said}");
    let (code, _, error) = verb(&["token", "list", "--data", "nowhere"]);
    assert!(code == 1 && error.contains("no tokens of binnacle") && !home.path().join("nowhere").exists(), "{error}");
    // Looking at it does not change it, and it is not taken for a data folder.
    for _ in 0..2 {
        let (code, out, error) = verb(&["verify", "--data", "copy"]);
        assert!(code == 0 && out.contains("is whole") && out.contains("tenants: default"), "{out}{error}");
    }
    for args in [&["serve"][..], &["tenant", "list"], &["token", "list"], &["tenant", "erase", "default", "--yes"]] {
        let (code, _, error) = verb(&[args, &["--data", "copy"]].concat());
        assert!(code == 1 && error.contains("binnacle restore copy"), "{args:?}: {error}");
    }
    std::fs::create_dir(at("else")).unwrap();
    let (code, _, error) = verb(&["verify", "--data", "else"]);
    assert!(code == 1 && error.contains("no data of binnacle"), "{error}");
    assert_eq!(std::fs::read_dir(at("else")).unwrap().count(), 0, "nothing was made there");
    let (_, out, _) = verb(&["tenant", "list"]);
    assert!(out.lines().nth(1).is_some_and(|line| line.ends_with(" default")), "{out}");
    let (code, _, error) = verb(&["tenant", "erase", "default", "--yes"]);
    assert!(code == 1 && error.contains("in use by another binnacle"), "{error}");
    appliance.terminate();

    let (code, out, error) = verb(&["restore", "copy", "--data", &at("again/data")]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("everything can be read"), "{out}");
    let (code, out, error) =
        verb(&["tenant", "import", "default", "copy", "--rename", "vessel", "--data", &at("again/data")]);
    assert_eq!(code, 0, "{out}{error}");
    let again = Appliance::start(&home.path().join("again"));
    for tenant in ["default", "vessel"] {
        let url = format!("{}/api/v1/query?query=depth", again.http);
        let reply = again.client().get(url).header("x-scope-orgid", tenant).send().await.unwrap();
        let body = reply.text().await.unwrap();
        assert!(body.contains("\"7\""), "{tenant}: {body}");
    }
    again.terminate();
    let (code, _, error) = verb(&["tenant", "erase", "vessel", "--data", &at("again/data")]);
    assert!(code == 1 && error.contains("--yes"), "{error}");
    assert_eq!(verb(&["tenant", "erase", "vessel", "--yes", "--data", &at("again/data")]).0, 0);
    let (_, out, _) = verb(&["tenant", "list", "--data", &at("again/data")]);
    assert!(!out.contains("vessel"), "{out}");
}
