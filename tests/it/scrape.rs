//! Scraping end to end: the real binary asks real HTTP servers that expose, change, refuse, stall and lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use serde_json::Value;

use crate::appliance::Appliance;
use crate::fakes::http::{Cuts, serve};
use crate::free_address::free_address;
use crate::until::until;

const WITHIN: Duration = Duration::from_secs(30);
const TEXT: &str = "text/plain; version=0.0.4";

fn exposition(content_type: &str, body: impl Into<Body>) -> Response {
    ([("content-type", content_type)], body.into()).into_response()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, plain).unwrap();
    encoder.finish().unwrap()
}

/// A `[[scrape]]` of one target that is asked four times a second.
fn job(name: &str, address: std::net::SocketAddr, more: &str) -> String {
    format!("[[scrape]]\njob = \"{name}\"\ntargets = [\"{address}\"]\ninterval = \"250ms\"\n{more}\n")
}

async fn value(appliance: &Appliance, expr: &str) -> Option<String> {
    let rows = appliance.query(expr).await;
    rows.first().and_then(|row| row["value"][1].as_str().map(str::to_owned))
}

async fn until_value(appliance: &Appliance, expr: &str, expected: Option<&str>) {
    until(expr, WITHIN, || async { (value(appliance, expr).await.as_deref() == expected).then_some(()) }).await;
}

#[tokio::test]
async fn targets_are_scraped_and_what_is_gone_ends() {
    let stage = Arc::new(AtomicUsize::new(0));
    let seen = stage.clone();
    let page = move |request: Request| {
        let stage = seen.clone();
        async move {
            let header =
                |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            assert!(header("accept").contains("application/openmetrics-text;version=1.0.0"));
            assert_eq!(header("accept-encoding"), "gzip");
            assert_eq!(header("x-prometheus-scrape-timeout-seconds"), "0.25");
            assert_eq!(request.uri().query(), Some("module=a&module=b"));
            match stage.load(Ordering::SeqCst) {
                0 => {
                    let body = "# HELP c_total Things.\n# TYPE c_total counter\nc_total{job=\"own\"} 7\ngone 1\n";
                    let headers = [("content-type", TEXT), ("content-encoding", "gzip")];
                    (headers, Body::from(gzip(body.as_bytes()))).into_response()
                }
                1 => exposition(
                    "application/openmetrics-text; version=1.0.0",
                    "# TYPE c counter\nc_total{job=\"own\"} 8 # {trace_id=\"abc\"} 1\n# EOF\n",
                ),
                2 => exposition("text/html", "<html>c_total 9</html>"),
                _ => axum::http::StatusCode::BAD_GATEWAY.into_response(),
            }
        }
    };
    let address = serve(Router::new().route("/m", get(page)), Cuts::default()).await;
    let home = tempfile::tempdir().unwrap();
    let more = "path = \"/m\"\nlabels = {env = \"test\"}\nparams = {module = [\"a\", \"b\"]}\n";
    std::fs::write(home.path().join("binnacle.toml"), job("web", address, more)).unwrap();
    let appliance = Appliance::start(home.path());

    let series = format!("c_total{{job=\"web\",exported_job=\"own\",env=\"test\",instance=\"{address}\"}}");
    until_value(&appliance, &series, Some("7")).await;
    until_value(&appliance, "gone", Some("1")).await;
    until_value(&appliance, "up{job=\"web\"}", Some("1")).await;
    until_value(&appliance, "scrape_samples_scraped{job=\"web\"}", Some("2")).await;
    until_value(&appliance, "scrape_samples_post_metric_relabeling{job=\"web\"}", Some("2")).await;
    until_value(&appliance, "max_over_time(scrape_series_added{job=\"web\"}[1m])", Some("2")).await;
    until_value(&appliance, "scrape_series_added{job=\"web\"}", Some("0")).await;
    assert!(value(&appliance, "scrape_duration_seconds{job=\"web\"} > 0").await.is_some());
    let metadata: Value = serde_json::from_str(&appliance.get("/api/v1/metadata?metric=c_total").await.1).unwrap();
    assert_eq!(metadata["data"]["c_total"][0]["help"], "Things.", "{metadata}");

    stage.store(1, Ordering::SeqCst);
    until_value(&appliance, &series, Some("8")).await;
    until_value(&appliance, "gone", None).await;

    for (next, status) in [(2, "wrong content type"), (3, "bad gateway")] {
        stage.store(next, Ordering::SeqCst);
        until_value(&appliance, "up{job=\"web\"}", Some("0")).await;
        until_value(&appliance, &series, None).await;
        until_value(&appliance, "scrape_samples_scraped{job=\"web\"}", Some("0")).await;
        stage.store(1, Ordering::SeqCst);
        until_value(&appliance, &series, Some("8")).await;
        println!("recovered from {status}");
    }
    let shown: Value = serde_json::from_str(&appliance.get("/api/v1/targets?scrapePool=web").await.1).unwrap();
    let shown = &shown["data"]["activeTargets"][0];
    assert_eq!(shown["scrapeUrl"], format!("http://{address}/m?module=a&module=b"), "{shown}");
    assert_eq!((&shown["labels"]["env"], &shown["labels"]["job"]), (&"test".into(), &"web".into()), "{shown}");
    assert_eq!((&shown["health"], &shown["lastError"]), (&"up".into(), &"".into()), "{shown}");
    assert_eq!((&shown["scrapeInterval"], &shown["scrapeTimeout"]), (&"250ms".into(), &"250ms".into()), "{shown}");
    let counted = appliance.get("/metrics").await.1;
    for result in ["ok", "failed"] {
        assert!(counted.contains(&format!("binnacle_scrapes_total{{result=\"{result}\"}}")), "{counted}");
    }

    // A stop is no end: what was scraped last is still there after a restart.
    appliance.terminate();
    std::fs::write(home.path().join("binnacle.toml"), "").unwrap();
    let appliance = Appliance::start(home.path());
    assert_eq!(value(&appliance, &series).await.as_deref(), Some("8"));
    appliance.terminate();
}

#[tokio::test]
async fn answers_of_no_use_are_failures_with_their_reason() {
    let secret = |request: &Request, expected: &str| {
        request.headers().get("authorization").is_some_and(|value| value.to_str().unwrap() == expected)
    };
    let guarded = move |request: Request| async move {
        match request.uri().path() {
            "/basic" if secret(&request, "Basic dTpwdw==") => exposition(TEXT, "basic 1\n"),
            "/bearer" if secret(&request, "Bearer tok") => exposition(TEXT, "bearer 1\n"),
            _ => axum::http::StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        exposition(TEXT, "slow 1\n")
    };
    let router = Router::new()
        .route("/basic", get(guarded))
        .route("/bearer", get(guarded))
        .route("/refused", get(guarded))
        .route("/slow", get(slow))
        .route("/huge", get(|| async { exposition(TEXT, "huge 1\n".repeat(10_000)) }))
        .route(
            "/bomb",
            get(|| async {
                let headers = [("content-type", TEXT), ("content-encoding", "gzip")];
                (headers, Body::from(gzip(&vec![b'\n'; 1 << 20]))).into_response()
            }),
        )
        .route("/many", get(|| async { exposition(TEXT, "m{a=\"1\"} 1\nm{a=\"2\"} 1\nm{a=\"3\"} 1\n") }))
        .route("/cut", get(|| async { exposition("application/openmetrics-text", "cut 1\n") }))
        .route("/empty", get(|| async { exposition("application/openmetrics-text", "") }))
        .route("/moved", get(|| async { Redirect::temporary("/basic-free") }))
        .route("/basic-free", get(|| async { exposition(TEXT, "moved 1\n") }))
        .route("/odd", get(|| async { exposition("application/x-odd", "odd 1\n") }));
    let address = serve(router, Cuts::default()).await;
    let home = tempfile::tempdir().unwrap();
    let token_file = home.path().join("token");
    std::fs::write(&token_file, "tok\n").unwrap();
    let file = token_file.display();
    let nobody = free_address().parse().unwrap();
    let jobs = [
        job("basic", address, "path = \"/basic\"\nbasic_auth = {username = \"u\", password = \"pw\"}"),
        job("bearer", address, &format!("path = \"/bearer\"\nbearer_token_file = \"{file}\"")),
        job("refused", address, "path = \"/refused\""),
        job("slow", address, "path = \"/slow\"\ntimeout = \"100ms\""),
        job("huge", address, "path = \"/huge\"\nbody_size_limit = \"1KiB\""),
        job("bomb", address, "path = \"/bomb\"\nbody_size_limit = \"64KiB\""),
        job("many", address, "path = \"/many\"\nsample_limit = 2"),
        job("labels", address, "path = \"/many\"\nlabel_limit = 2"),
        job("cut", address, "path = \"/cut\""),
        job("empty", address, "path = \"/empty\""),
        job("moved", address, "path = \"/moved\""),
        job("stays", address, "path = \"/moved\"\nfollow_redirects = false"),
        job("odd", address, "path = \"/odd\"\nfallback_protocol = \"text\""),
        job("nobody", nobody, ""),
        job("elsewhere", address, "path = \"/basic-free\"\ntenant = \"vessel-7\""),
    ];
    std::fs::write(home.path().join("binnacle.toml"), jobs.join("\n")).unwrap();
    let appliance = Appliance::start(home.path());
    for (job, up) in [
        ("basic", "1"),
        ("bearer", "1"),
        ("refused", "0"),
        ("slow", "0"),
        ("huge", "0"),
        ("bomb", "0"),
        ("many", "0"),
        ("labels", "0"),
        ("cut", "0"),
        ("empty", "1"),
        ("moved", "1"),
        ("stays", "0"),
        ("odd", "1"),
        ("nobody", "0"),
    ] {
        until_value(&appliance, &format!("up{{job=\"{job}\"}}"), Some(up)).await;
    }
    until_value(&appliance, "moved{job=\"moved\"}", Some("1")).await;
    until_value(&appliance, "scrape_samples_scraped{job=\"many\"}", Some("3")).await;
    assert_eq!(value(&appliance, "count({__name__=~\"huge|m|cut|slow\"})").await, None);
    assert_eq!(value(&appliance, "up{job=\"elsewhere\"}").await, None, "another tenant's");
    let shown: Value = serde_json::from_str(&appliance.get("/api/v1/targets").await.1).unwrap();
    let refused = shown["data"]["activeTargets"].as_array().unwrap().iter().find(|one| one["scrapePool"] == "refused");
    let refused = refused.unwrap();
    assert_eq!(refused["health"], "down");
    assert!(refused["lastError"].as_str().unwrap().contains("HTTP status 401"), "{refused}");
    let log = appliance.log();
    for part in [
        "HTTP status 401",
        "within 0.1 s (timeout)",
        "larger than 1024 bytes (body_size_limit)",
        "larger than 65536 bytes (body_size_limit)",
        "the limit is 2 (sample_limit)",
        "the limit is 2 (label_limit)",
        "does not end with # EOF",
        "HTTP status 307",
    ] {
        assert!(log.contains(part), "{part:?} is not in the log: {log}");
    }
    assert!(!log.contains("pw") && !log.contains("tok\""), "a secret stands in the log");
    appliance.terminate();
}

#[tokio::test]
async fn a_reload_takes_over_what_changed() {
    let page = |request: Request| async move {
        let value = request.uri().path().trim_start_matches("/v").to_owned();
        exposition(TEXT, format!("kept {value}\nx{{job=\"own\"}} {value}\n"))
    };
    let address = serve(Router::new().route("/{*path}", get(page)), Cuts::default()).await;
    let home = tempfile::tempdir().unwrap();
    let write = |jobs: &[String]| std::fs::write(home.path().join("binnacle.toml"), jobs.join("\n")).unwrap();
    let listed = |labels: &str| {
        let text = format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"__metrics_path__\": \"/v5\"{labels}}}}}]");
        std::fs::write(home.path().join("found.json"), text).unwrap();
    };
    listed("");
    let found =
        "[[scrape]]\njob = \"found\"\ninterval = \"250ms\"\nfile_sd_configs = [{files = [\"*.json\"]}]\n".to_owned();
    write(&[job("stays", address, "path = \"/v1\""), job("goes", address, "path = \"/v2\""), found.clone()]);
    let appliance = Appliance::start(home.path());
    let shows = async |expr: &str, expected: Option<&str>| until_value(&appliance, expr, expected).await;
    for (job, value) in [("stays", "1"), ("goes", "2"), ("found", "5")] {
        shows(&format!("kept{{job=\"{job}\"}}"), Some(value)).await;
    }

    // A mistake changes nothing, and is told.
    write(&[job("stays", address, "path = \"v1\"")]);
    appliance.signal(rustix::process::Signal::HUP);
    let told = |expected: bool| {
        let appliance = &appliance;
        async move {
            let info: Value = serde_json::from_str(&appliance.get("/api/v1/status/runtimeinfo").await.1).unwrap();
            (info["data"]["reloadConfigSuccess"] == expected).then_some(())
        }
    };
    until("the mistake to be told", WITHIN, || told(false)).await;
    assert!(appliance.log().contains("does not begin with /"), "{}", appliance.log());
    shows("count(kept)", Some("3")).await;

    // One goes, one stays and names its samples otherwise, one comes.
    let honest = job("stays", address, "path = \"/v1\"\nhonor_labels = true");
    write(&[honest, job("comes", address, "path = \"/v3\""), found]);
    appliance.signal(rustix::process::Signal::HUP);
    until("the reload to be told", WITHIN, || told(true)).await;
    shows("kept{job=\"comes\"}", Some("3")).await;
    shows("kept{job=\"goes\"}", None).await;
    shows("up{job=\"goes\"}", None).await;
    shows("x{exported_job=\"own\",job=\"stays\"}", None).await;
    shows("x{job=\"own\"}", Some("1")).await;
    shows("kept{job=\"stays\"}", Some("1")).await;
    assert_eq!(
        value(&appliance, "min_over_time(up{job=\"stays\"}[1m])").await.as_deref(),
        Some("1"),
        "no gap, no failure"
    );
    let pools = appliance.get("/api/v1/scrape_pools").await.1;
    assert!(pools.contains("comes") && !pools.contains("goes"), "{pools}");

    // Files of targets are looked at without being told.
    listed(", \"zone\": \"z\"");
    shows("kept{job=\"found\",zone=\"z\"}", Some("5")).await;
    shows("kept{job=\"found\",zone=\"\"}", None).await;
    std::fs::remove_file(home.path().join("found.json")).unwrap();
    shows("up{job=\"found\"}", None).await;
    appliance.terminate();
}

/// Connections of a listener, behind TLS.
struct TlsListener {
    listener: tokio::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            // A client that does not trust us leaves here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[tokio::test]
async fn certificates_are_checked_unless_told_otherwise() {
    use tokio_rustls::rustls;
    // Its own authority, as `openssl req -x509` makes one.
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&signing_key).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = TlsListener { listener, acceptor: Arc::new(config).into() };
    let router = Router::new().route("/metrics", get(|| async { exposition(TEXT, "secure 1\n") }));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("ca.pem"), made.pem()).unwrap();
    let job = |name: &str, more: &str| {
        format!(
            "[[scrape]]\njob = \"{name}\"\ntargets = [\"localhost:{port}\"]\nscheme = \"https\"\ninterval = \"250ms\"\n{more}\n"
        )
    };
    let jobs = [job("known", "ca_file = \"ca.pem\""), job("any", "insecure_skip_verify = true"), job("strange", "")];
    std::fs::write(home.path().join("binnacle.toml"), jobs.join("\n")).unwrap();
    let appliance = Appliance::start(home.path());
    for (job, up) in [("known", "1"), ("any", "1"), ("strange", "0")] {
        until_value(&appliance, &format!("up{{job=\"{job}\"}}"), Some(up)).await;
    }
    assert_eq!(value(&appliance, "count(secure)").await.as_deref(), Some("2"));
    assert!(appliance.log().contains("certificate"), "{}", appliance.log());
    appliance.terminate();
    std::fs::write(home.path().join("binnacle.toml"), job("lost", "ca_file = \"nowhere.pem\"")).unwrap();
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_binnacle"))
        .current_dir(home.path())
        .arg("check")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success() && said.contains("scrape \"lost\": ca_file nowhere.pem"), "{said}");
}
