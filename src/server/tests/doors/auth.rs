//! Who may do what: tokens and scopes at every door, tenants by header, and the loopback check.

use base64::Engine as _;
use model::TenantId;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use serde_json::json;
use server::AuthMode;
use store::Scope;
use tonic::transport::Channel;

use crate::client;
use crate::house::{House, SECOND, now_ms, settings};
use crate::payload::logs;

const JSON: (&str, &str) = ("content-type", "application/json");

/// Statuses of the three doors for one set of headers; the gRPC one as its code.
async fn doors(house: &House, headers: &[(&str, &str)]) -> (u16, u16, i32) {
    let query = house.get("/api/v1/query?query=1", headers).await;
    let with_type = [headers, &[JSON]].concat();
    let push = house.post("/v1/logs", &with_type, b"{}".to_vec()).await;
    let channel = Channel::from_shared(format!("http://{}", house.grpc)).unwrap().connect().await.unwrap();
    let mut request = tonic::Request::new(logs(&[]));
    for (name, value) in headers {
        let name: tonic::metadata::MetadataKey<_> = name.parse().unwrap();
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let call = LogsServiceClient::new(channel).export(request).await;
    (query.status, push.status, call.map_or_else(|refused| i32::from(refused.code()), |_| 0))
}

#[tokio::test]
async fn tokens_open_the_doors_of_their_scope_and_tenant() {
    let house = House::open(server::ServerSettings { auth: AuthMode::Token, ..settings() }).await;
    let accounts = house.state.store.accounts().clone();
    let mine = TenantId::new("mine").unwrap();
    let make = |scope| accounts.create_token("test", scope, &mine, now_ms()).unwrap();
    let (_, ingest) = make(Scope::Ingest);
    let (_, read) = make(Scope::Read);
    let (admin_token, admin) = make(Scope::Admin);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let basic = |secret: &str| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("anyone:{secret}")))
    };
    for (what, value, expected) in [
        ("none", String::new(), (401, 401, 16)),
        ("unknown", bearer("bnc_0000"), (401, 401, 16)),
        ("no scheme", read.clone(), (401, 401, 16)),
        ("bad base64", "Basic !!!".into(), (401, 401, 16)),
        ("a huge one", bearer(&"x".repeat(5_000)), (401, 401, 16)),
        ("ingest", bearer(&ingest), (403, 200, 0)),
        ("read", bearer(&read), (200, 403, 7)),
        ("admin", bearer(&admin), (200, 200, 0)),
        ("ingest as password", basic(&ingest), (403, 200, 0)),
        ("read, scheme in lower case", format!("bearer {read}"), (200, 403, 7)),
    ] {
        let headers: Vec<_> = if value.is_empty() { vec![] } else { vec![("authorization", value.as_str())] };
        assert_eq!(doors(&house, &headers).await, expected, "{what}");
    }

    // Without a token only these answer.
    for (path, status) in
        [("/health", 200), ("/healthz", 200), ("/ready", 200), ("/metrics", 401), ("/api/v1/labels", 401), ("/", 401)]
    {
        assert_eq!(house.get(path, &[]).await.status, status, "{path}");
    }
    let asked = house.get("/", &[]).await;
    assert!(asked.header("www-authenticate").starts_with("Basic"), "a browser is asked for a password");
    let refused = house.get("/api/v1/labels", &[]).await.json();
    assert!(refused["error"].as_str().unwrap().contains("Authorization: Bearer"), "{refused}");

    // What one tenant's token pushes, only that tenant sees; another tenant cannot be named.
    let headers = [("authorization", &*bearer(&admin)), ("content-type", "application/x-protobuf")];
    let body = prost::Message::encode_to_vec(&logs(&[(now_ms() * 1_000_000, "private")]));
    assert_eq!(house.post("/v1/logs", &headers, body).await.status, 200);
    let (_, other) = accounts.create_token("other", Scope::Read, &TenantId::new("other").unwrap(), now_ms()).unwrap();
    let rows = async |secret: &str| house.get("/api/v1/logs", &[("authorization", &*bearer(secret))]).await.text();
    assert_eq!((rows(&read).await.lines().count(), rows(&other).await.lines().count()), (1, 0));
    let named = [("authorization", &*bearer(&read)), ("x-scope-orgid", "other")];
    assert_eq!(house.get("/api/v1/logs", &named).await.status, 403);

    // Revocation is felt within seconds, though tokens are remembered for some.
    assert!(accounts.revoke_token(&admin_token.id).unwrap());
    let revoked = async {
        while doors(&house, &[("authorization", &bearer(&admin))]).await != (401, 401, 16) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), revoked).await.expect("revocation is felt");
}

#[tokio::test]
async fn without_tokens_only_loopback_names_are_answered() {
    let house = House::open(settings()).await;
    for (host, status) in [("localhost:1", 200), ("127.0.0.1", 200), ("evil.example", 403), ("10.1.2.3:8080", 403)] {
        let headers = [("host", host)];
        let query = house.get("/api/v1/query?query=1", &headers).await;
        assert_eq!(query.status, status, "{host}: {}", query.text());
        let push = house.post("/v1/logs", &[("host", host), JSON], b"{}".to_vec()).await;
        assert_eq!(push.status, status, "{host}: {}", push.text());
        assert!(status == 200 || query.text().contains("--insecure-listen"), "{}", query.text());
        assert_eq!(house.get("/health", &headers).await.status, 200, "{host}");
    }
    let open = House::open(server::ServerSettings { check_host: false, ..settings() }).await;
    assert_eq!(open.get("/api/v1/query?query=1", &[("host", "evil.example")]).await.status, 200);
}

#[tokio::test]
async fn the_tenant_comes_from_the_header() {
    let house = House::open(settings()).await;
    for (tenant, expected) in
        [("a", (200, 200, 0)), ("../../etc", (400, 400, 3)), (".hidden", (400, 400, 3)), ("", (400, 400, 3))]
    {
        assert_eq!(doors(&house, &[("x-scope-orgid", tenant)]).await, expected, "{tenant}");
    }
    let body = prost::Message::encode_to_vec(&logs(&[(now_ms() * 1_000_000, "mine")]));
    let headers = [("x-scope-orgid", "a"), ("content-type", "application/x-protobuf")];
    assert_eq!(house.post("/v1/logs", &headers, body).await.status, 200);
    for (tenant, rows) in [("a", 1), ("b", 0)] {
        let reply = house.get("/api/v1/logs", &[("x-scope-orgid", tenant)]).await;
        assert_eq!(reply.text().lines().count(), rows, "{tenant}");
    }
    let known: Vec<_> = house.state.store.tenants().iter().map(ToString::to_string).collect();
    assert_eq!(json!(known), json!(["a", "default", SECOND]), "a query makes no tenant");
}

#[tokio::test]
async fn looking_at_alerts_is_not_changing_what_people_are_told() {
    let house = House::open(server::ServerSettings { auth: AuthMode::Token, ..settings() }).await;
    let tenant = TenantId::default();
    let make = |scope| house.state.store.accounts().create_token("test", scope, &tenant, now_ms()).unwrap().1;
    let secrets = Scope::ALL.map(make);
    // By scope, in their order: ingest, read, operate, admin.
    let check = async |method: &str, path: &str, expected: [bool; 4]| {
        for ((scope, secret), expected) in Scope::ALL.into_iter().zip(&secrets).zip(expected) {
            let headers = [("authorization", format!("Bearer {secret}")), ("content-type", "application/json".into())];
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let reply = client::send(method, &format!("http://{}{path}", house.http), &headers, b"[]".to_vec()).await;
            let may = reply.status != 403;
            assert_eq!(may, expected, "{scope:?} {method} {path}: {} {}", reply.status, reply.text());
        }
    };
    let looks = [false, true, true, true];
    let changes = [false, false, true, true];
    check("GET", "/api/v2/alerts", looks).await;
    check("GET", "/api/v2/silences", looks).await;
    check("GET", "/alerts", looks).await;
    check("POST", "/api/v1/query", looks).await;
    check("POST", "/api/v1/rules/replay", looks).await;
    check("POST", "/loki/api/v1/labels", looks).await;
    check("POST", "/api/v2/alerts", changes).await;
    check("POST", "/api/v2/silences", changes).await;
    check("DELETE", "/api/v2/silence/00000000-0000-0000-0000-000000000000", changes).await;
    check("POST", "/api/v1/alerts/0123456789abcdef/ack", changes).await;
    check("DELETE", "/api/v1/alerts/0123456789abcdef/ack", changes).await;
    check("POST", "/api/v1/notify/test", changes).await;
    check("POST", "/silences", changes).await;
    check("POST", "/notifications/test", changes).await;
    check("POST", "/api/v1/write", [true, false, false, true]).await;
}

/// Routes of notifications go by the label `tenant`.
#[tokio::test]
async fn an_alert_that_a_tenant_pushes_says_whose_it_is() {
    let house = House::open(server::ServerSettings { auth: AuthMode::Token, ..settings() }).await;
    let tenant = TenantId::new(crate::house::SECOND).unwrap();
    let token = house.state.store.accounts().create_token("test", Scope::Operate, &tenant, now_ms()).unwrap().1;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let alerts = r#"[{"labels":{"alertname":"Fake","tenant":"other"}},{"labels":{"alertname":"Plain"}}]"#;
    let url = format!("http://{}/api/v2/alerts", house.http);
    let reply = client::send("POST", &url, &headers, alerts.into()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let listed = house.get("/api/v2/alerts", &headers).await.json();
    let said: Vec<&str> =
        listed.as_array().unwrap().iter().map(|alert| alert["labels"]["tenant"].as_str().unwrap_or("-")).collect();
    assert_eq!(said, ["second", "second"]);
}
