//! What a person or a tool asks of the appliance while alerts fire.

use std::time::{Duration, Instant};

use crate::world::{LOOK_EVERY, PATIENCE, World};

impl World {
    /// Holds back what is told of a host, from `after` on for `lasts`; the silence's id.
    pub(crate) async fn silence(&self, host: &str, after: Duration, lasts: Duration) -> String {
        let at = |later: Duration| {
            let ns = i64::try_from(self.now_ns() + u64::try_from(later.as_nanos()).unwrap_or(0)).unwrap_or(i64::MAX);
            model::time::rfc3339_ms(ns / 1_000_000)
        };
        let silence = serde_json::json!({
            "matchers": [{"name": "host_name", "value": host, "isRegex": false}],
            "startsAt": at(after), "endsAt": at(after + lasts), "createdBy": "ann", "comment": "a scenario",
        });
        let request = self.appliance().client().post(format!("{}/api/v2/silences", self.appliance().http));
        let reply = request.header("content-type", "application/json").body(silence.to_string()).send().await;
        let text = reply.expect("an answer").text().await.expect("a body");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        answer["silenceID"].as_str().unwrap_or_else(|| panic!("no silence: {text}")).to_owned()
    }

    pub(crate) async fn expire_silence(&self, id: &str) {
        let url = format!("{}/api/v2/silence/{id}", self.appliance().http);
        let reply = self.appliance().client().delete(url).send().await.expect("an answer");
        assert_eq!(reply.status().as_u16(), 200);
    }

    /// Firing alerts as Alertmanager's API shows them.
    pub(crate) async fn alerts(&self) -> Vec<serde_json::Value> {
        let (status, body) = self.appliance().get("/api/v2/alerts").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("a list")
    }

    /// Waits until the API's alerts are as asked.
    pub(crate) async fn until_alerts(&self, what: &str, look: impl Fn(&[serde_json::Value]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let alerts = self.alerts().await;
            if look(&alerts) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {alerts:?}\n{}", self.log_tail());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a page or an API's answer is as asked.
    pub(crate) async fn until_page(&self, what: &str, path: &str, look: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, body) = self.appliance().get(path).await;
            if look(&body) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what} on {path}: {body}\n{}", self.log_tail());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The present value of a sum over one of the appliance's own counters.
    pub(crate) async fn counted(&self, name: &str) -> f64 {
        let (_, text) = self.appliance().get("/metrics").await;
        let of_name = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}
