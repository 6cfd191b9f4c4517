//! Tokens: asked for at every door when the mode says so, made while the server runs, ended by revoking.

use std::process::Command;
use std::time::Duration;

use crate::appliance::Appliance;
use crate::otlp;
use crate::until::until;

#[tokio::test]
async fn tokens_open_the_doors_of_their_scope_until_they_are_revoked() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start_with(home.path(), &["--auth", "token"]);
    assert_eq!(appliance.get("/health").await.0, 200);
    assert_eq!(appliance.get("/api/v1/query?query=1").await.0, 401);
    let ingest = token(home.path(), &["create", "--name", "collector", "--scope", "ingest", "--tenant", "vessel-7"]);
    let read = token(home.path(), &["create", "--name", "grafana", "--scope", "read", "--tenant", "vessel-7"]);
    let other = token(home.path(), &["create", "--name", "elsewhere", "--scope", "read", "--tenant", "vessel-8"]);

    let at_ns = binnacle::clock::now_ns();
    let push = async |secret: &str| {
        let request = appliance
            .client()
            .post(format!("{}/v1/metrics", appliance.otlp_http))
            .header("content-type", "application/x-protobuf")
            .bearer_auth(secret)
            .body(otlp::gauge("api", "auth.test", &[(at_ns, 4.0)]));
        request.send().await.unwrap().status().as_u16()
    };
    let query = async |secret: &str| {
        let url = format!("{}/api/v1/query?query=auth_test", appliance.http);
        let reply = appliance.client().get(url).bearer_auth(secret).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    assert_eq!(push("bnc_wrong").await, 401);
    assert_eq!(push(&read).await, 403);
    assert_eq!(push(&ingest).await, 200);
    assert_eq!(query(&ingest).await.0, 403);
    let (status, body) = query(&read).await;
    assert_eq!(status, 200);
    assert!(body.contains("\"4\""), "{body}");
    let (status, body) = query(&other).await;
    assert_eq!(status, 200);
    assert!(!body.contains("\"4\""), "another tenant's data: {body}");

    let listed = run(home.path(), &["list"]);
    assert!(listed.contains("collector") && !listed.contains(&ingest), "{listed}");
    let id = listed.lines().find(|line| line.ends_with(" grafana")).unwrap().split_whitespace().next().unwrap();
    assert!(run(home.path(), &["revoke", id]).contains("revoked"));
    until("the revoked token to be refused", Duration::from_secs(20), || async {
        (query(&read).await.0 == 401).then_some(())
    })
    .await;
    assert!(!appliance.log().contains("bnc_"), "a secret stands in the log");
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_where_no_token_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let url = format!("{}/api/v1/query?query=1", appliance.http);
    let reply = appliance.client().get(url).header("host", "evil.example").send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 403);
    let body = reply.text().await.unwrap();
    assert!(body.contains("--insecure-listen"), "{body}");
}

fn token(home: &std::path::Path, args: &[&str]) -> String {
    run(home, args).trim().to_owned()
}

fn run(home: &std::path::Path, args: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_binnacle")).current_dir(home).arg("token").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
