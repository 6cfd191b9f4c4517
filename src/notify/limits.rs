//! What services allow, counted as they count it: together for all channels that speak to one place with one key, whichever
//! receiver or tenant they belong to.
//!
//! Slack takes about a message a second in each of its channels, short bursts aside, and edits by the method's tier, 50 a minute for
//! an app (<https://docs.slack.dev/apis/web-api/rate-limits>); PagerDuty counts events by routing key; a mail server is spoken to by
//! one conversation at a time. A service that fails fails for all of them: it has one breaker, and one attempt at a time finds out
//! whether it is back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::config::{Channel, ChannelKind, SlackDoor};
use crate::delivery::{Report, Verdict};
use crate::health::Breaker;
use crate::timing::Timing;

/// Messages to one Slack channel that may begin at once before the gap between them counts: Slack lets short bursts pass.
const POST_BURST: i64 = 3;
/// Edits of one Slack app that may begin at once: the tier is counted over a minute.
const EDIT_BURST: i64 = 20;
/// Attempts at once at one routing key or webhook.
const REQUESTS_AT_ONCE: usize = 4;
/// When to look again at a place that is in use, in ms; the end of an own attempt is noticed at once.
const IN_USE_MS: i64 = 250;

/// Clocks of the notifiers that share the limits differ by less; one that stands further back was set back, in ms.
const SET_BACK_MS: i64 = 2_000;

/// The limits of all places. A cheap handle: the notifiers of one process share one.
#[derive(Clone, Default)]
pub struct ServiceLimits(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    of: HashMap<Place, Count>,
    /// When somebody looked last.
    looked_ms: Option<i64>,
}

impl Counts {
    /// Takes note of the time. A clock that was set back takes along what waits: it must not wait for as long as the clock jumped.
    fn look(&mut self, now_ms: i64) {
        let by_ms = self.looked_ms.map_or(0, |looked_ms| now_ms.saturating_sub(looked_ms));
        if by_ms < -SET_BACK_MS {
            for count in self.of.values_mut() {
                count.paced_ms = count.paced_ms.saturating_add(by_ms);
                count.throttled_until_ms = count.throttled_until_ms.map(|until_ms| until_ms.saturating_add(by_ms));
                count.breaker.shift(by_ms);
            }
        }
        self.looked_ms = Some(now_ms);
    }
}

/// SHA-256 of what names a place: a key may be part of it.
type Place = [u8; 32];

#[derive(Debug, Clone, Default)]
struct Count {
    in_flight: usize,
    /// 429s in a row, and until when the last one asks for patience.
    throttles: u32,
    throttled_until_ms: Option<i64>,
    /// When the next attempt would be due if all so far had kept their gap (the virtual schedule of GCRA, ITU-T I.371).
    paced_ms: i64,
    breaker: Breaker,
    last_error: String,
}

/// The places that one attempt is counted at.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Fails as a whole.
    service: Place,
    counted: Vec<Bound>,
    /// Begins although the service fails, unless another attempt is finding out right now.
    is_probe: bool,
}

#[derive(Debug, Clone)]
struct Bound {
    place: Place,
    at_once: usize,
    gap_ms: i64,
    burst: i64,
}

impl Places {
    /// `is_edit`: of an attempt that changes a message instead of posting one.
    pub(crate) fn of(channel: &Channel, is_edit: bool, timing: &Timing) -> Places {
        let (service, counted) = Places::counted(channel, is_edit, timing);
        Places { service, counted, is_probe: false }
    }

    /// Does not wait until a failing service may be asked again: a person asks for it.
    pub(crate) fn probing(self) -> Places {
        Places { is_probe: true, ..self }
    }

    fn counted(channel: &Channel, is_edit: bool, timing: &Timing) -> (Place, Vec<Bound>) {
        let one = |place, at_once| Bound { place, at_once, gap_ms: 0, burst: 1 };
        let posts = |place| Bound { place, at_once: 1, gap_ms: timing.slack_gap_ms, burst: POST_BURST };
        match &channel.kind {
            ChannelKind::Slack(slack) => match &slack.door {
                SlackDoor::Webhook { url } => {
                    let place = place(&["slack webhook", url.reveal()]);
                    (place, vec![posts(place)])
                }
                SlackDoor::Bot { base, token } => {
                    let of_app = |part: &str| place(&["slack", base, token.reveal(), part]);
                    let mut counted = vec![posts(of_app(slack.channel.as_deref().unwrap_or_default()))];
                    if is_edit {
                        let gap_ms = timing.slack_edit_gap_ms;
                        // Each channel bounds its own attempts at once.
                        counted.push(Bound {
                            place: of_app("(edits)"),
                            at_once: usize::MAX,
                            gap_ms,
                            burst: EDIT_BURST,
                        });
                    }
                    (of_app("(app)"), counted)
                }
            },
            ChannelKind::PagerDuty(pagerduty) => {
                let key = place(&["pagerduty", &pagerduty.url, pagerduty.routing_key.reveal()]);
                (place(&["pagerduty", &pagerduty.url]), vec![one(key, REQUESTS_AT_ONCE)])
            }
            ChannelKind::Email(email) => {
                let host = place(&["smtp", &email.host, &email.port.to_string()]);
                (host, vec![one(host, 1)])
            }
            ChannelKind::Webhook(webhook) => {
                let url = place(&["webhook", webhook.url.reveal()]);
                (url, vec![one(url, REQUESTS_AT_ONCE)])
            }
            ChannelKind::Unsent(_) => {
                let own = place(&["unsent", &channel.name]);
                (own, vec![one(own, REQUESTS_AT_ONCE)])
            }
        }
    }
}

fn place(parts: &[&str]) -> Place {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

impl ServiceLimits {
    /// From when an attempt may begin.
    pub(crate) fn opens_at_ms(&self, places: &Places, now_ms: i64) -> i64 {
        opens_at_ms(&self.counts(now_ms).of, places, now_ms)
    }

    /// Begins an attempt, if it may begin now; then [`ServiceLimits::end`] must follow.
    pub(crate) fn begin(&self, places: &Places, now_ms: i64) -> bool {
        let counts = &mut self.counts(now_ms).of;
        if opens_at_ms(counts, places, now_ms) > now_ms {
            return false;
        }
        counts.entry(places.service).or_default().in_flight += 1;
        for bound in &places.counted {
            let count = counts.entry(bound.place).or_default();
            count.paced_ms = count.paced_ms.max(now_ms) + bound.gap_ms;
            if bound.place != places.service {
                count.in_flight += 1;
            }
        }
        true
    }

    /// An attempt ended; `None` when it was not made after all.
    pub(crate) fn end(&self, places: &Places, report: Option<&Report>, now_ms: i64, timing: &Timing) {
        let counts = &mut self.counts(now_ms).of;
        let all = places.counted.iter().map(|bound| bound.place).filter(|place| *place != places.service);
        for place in all.chain([places.service]) {
            let count = counts.entry(place).or_default();
            count.in_flight = count.in_flight.saturating_sub(1);
        }
        let Some(report) = report else { return };
        let service = counts.entry(places.service).or_default();
        if report.is_of_service() {
            service.breaker.fail(now_ms, timing);
            service.last_error.clone_from(&report.words);
        } else {
            service.breaker = Breaker::default();
        }
        for bound in &places.counted {
            let count = counts.entry(bound.place).or_default();
            match report.verdict {
                Verdict::Throttled { retry_after_ms } => {
                    let until_ms = now_ms + throttle_ms(retry_after_ms, count.throttles, timing);
                    count.throttles += 1;
                    count.throttled_until_ms = count.throttled_until_ms.max(Some(until_ms));
                }
                Verdict::Accepted => (count.throttles, count.throttled_until_ms) = (0, None),
                Verdict::Transient { .. } | Verdict::Refused => {}
            }
        }
    }

    /// The service's breaker and its last words, when attempts are held back because it fails.
    pub(crate) fn trouble(&self, places: &Places) -> Option<(Breaker, String)> {
        let counts = self.locked();
        let service = counts.of.get(&places.service).filter(|service| service.breaker.is_open())?;
        Some((service.breaker.clone(), service.last_error.clone()))
    }

    /// Forgets places of which nothing needs to be known any more: configurations come and go.
    pub(crate) fn forget_idle(&self, now_ms: i64) {
        self.locked().of.retain(|_, count| {
            count.in_flight > 0
                || count.breaker.is_open()
                || count.paced_ms.max(count.throttled_until_ms.unwrap_or(i64::MIN)) > now_ms
        });
    }

    fn counts(&self, now_ms: i64) -> MutexGuard<'_, Counts> {
        let mut counts = self.locked();
        counts.look(now_ms);
        counts
    }

    fn locked(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServiceLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceLimits")
    }
}

fn opens_at_ms(counts: &HashMap<Place, Count>, places: &Places, now_ms: i64) -> i64 {
    let mut opens_ms = i64::MIN;
    if let Some(service) = counts.get(&places.service).filter(|service| service.breaker.is_open()) {
        opens_ms = match (service.in_flight > 0, places.is_probe) {
            (true, _) => now_ms + IN_USE_MS,
            (false, true) => i64::MIN,
            (false, false) => service.breaker.opens_at_ms(),
        };
    }
    for bound in &places.counted {
        let Some(count) = counts.get(&bound.place) else { continue };
        let paced_ms = count.paced_ms - (bound.burst - 1) * bound.gap_ms;
        opens_ms = opens_ms.max(count.throttled_until_ms.unwrap_or(i64::MIN)).max(paced_ms);
        if count.in_flight >= bound.at_once {
            opens_ms = opens_ms.max(now_ms + IN_USE_MS);
        }
    }
    opens_ms
}

/// The wait after a 429: as long as it says, where it says so. One that names none doubles with each further one, and none is so short
/// that a service is asked without end.
pub(crate) fn throttle_ms(retry_after_ms: Option<i64>, throttles: u32, timing: &Timing) -> i64 {
    let doubled = |ms: i64| ms.saturating_mul(1 << throttles.min(20));
    match retry_after_ms {
        Some(said_ms) => said_ms.max(doubled(timing.retry_base_ms).min(timing.throttle_base_ms)),
        None => doubled(timing.throttle_base_ms).min(timing.throttle_cap_ms),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Config;

    const TEXT: &str = "
global: {smtp_smarthost: 'mail.example:587', smtp_from: a@example.org}
route: {receiver: a}
receivers:
- name: a
  slack_configs:
  - {api_url: 'http://x/api/chat.postMessage', channel: '#one', http_config: {authorization: {credentials: t}}}
  pagerduty_configs: [{routing_key: k, url: 'http://x/'}]
  email_configs: [{to: a@example.org}]
- name: b
  slack_configs:
  - {api_url: 'http://x/api/chat.postMessage', channel: '#one', http_config: {authorization: {credentials: t}}}
  - {api_url: 'http://x/api/chat.postMessage', channel: '#two', http_config: {authorization: {credentials: t}}}
  - {api_url: 'http://x/api/chat.postMessage', channel: '#one', http_config: {authorization: {credentials: other}}}
  pagerduty_configs: [{routing_key: k2, url: 'http://x/'}]
  email_configs: [{to: b@example.org}]
";

    fn places(channel: &str, is_edit: bool) -> Places {
        let config = Config::parse(TEXT, "notify.yml", Path::new(".")).unwrap();
        Places::of(config.channel(channel).unwrap().1, is_edit, &Timing::default())
    }

    fn report(verdict: Verdict, status: u16) -> Report {
        Report { verdict, status, words: "words".into(), handle: Vec::new(), began: false }
    }

    fn attempt(limits: &ServiceLimits, places: &Places, at_ms: i64, verdict: Verdict, status: u16) {
        assert!(limits.begin(places, at_ms), "at {at_ms}");
        limits.end(places, Some(&report(verdict, status)), at_ms, &Timing::default());
    }

    #[test]
    fn a_burst_passes_and_the_rest_keeps_its_gap_also_over_receivers() {
        let limits = ServiceLimits::default();
        let (first, second) = (places("a/slack[0]", false), places("b/slack[0]", false));
        let mut begun_at = Vec::new();
        for now in (10_000..14_500).step_by(100) {
            for places in [&first, &second] {
                while limits.begin(places, now) {
                    limits.end(places, Some(&report(Verdict::Accepted, 200)), now, &Timing::default());
                    begun_at.push(now);
                }
            }
        }
        assert_eq!(begun_at, [10_000, 10_000, 10_000, 11_000, 12_000, 13_000, 14_000]);
        for free in ["b/slack[1]", "b/slack[2]", "a/pagerduty[0]", "a/email[0]"] {
            assert!(limits.begin(&places(free, false), 14_400), "{free} is another place");
        }
    }

    #[test]
    fn edits_of_an_app_are_counted_over_its_channels() {
        let limits = ServiceLimits::default();
        let channels = [places("a/slack[0]", true), places("b/slack[1]", true)];
        let mut edits = 0;
        for now in (0..60_000).step_by(500) {
            for places in &channels {
                if limits.begin(places, now) {
                    limits.end(places, Some(&report(Verdict::Accepted, 200)), now, &Timing::default());
                    edits += 1;
                }
            }
        }
        assert!((65..=70).contains(&edits), "{edits} edits in a minute: a burst of 20 and 50 more");
        assert!(limits.begin(&places("b/slack[2]", true), 60_000), "another app");
    }

    #[test]
    fn a_429_holds_those_who_share_the_place() {
        let limits = ServiceLimits::default();
        let timing = Timing::default();
        attempt(&limits, &places("a/slack[0]", false), 0, Verdict::Throttled { retry_after_ms: Some(30_000) }, 429);
        for (channel, opens_ms) in [("b/slack[0]", 30_000), ("b/slack[1]", i64::MIN), ("b/slack[2]", i64::MIN)] {
            assert_eq!(limits.opens_at_ms(&places(channel, false), 1), opens_ms, "{channel}");
        }
        attempt(&limits, &places("a/slack[0]", false), 30_000, Verdict::Throttled { retry_after_ms: None }, 429);
        let second_ms = 30_000 + 2 * timing.throttle_base_ms;
        assert_eq!(limits.opens_at_ms(&places("b/slack[0]", false), 30_001), second_ms, "twice the base");
        attempt(&limits, &places("b/slack[0]", false), second_ms, Verdict::Accepted, 200);
        assert!(limits.begin(&places("a/slack[0]", false), second_ms + 1));
        limits.forget_idle(i64::MAX);
        assert_eq!(limits.locked().of.len(), 2, "what is in use stays");
    }

    #[test]
    fn a_service_that_fails_is_asked_by_one_at_a_time() {
        let limits = ServiceLimits::default();
        let timing = Timing::default();
        let (mine, other) = (places("a/pagerduty[0]", false), places("b/pagerduty[0]", false));
        let down = Verdict::Transient { unsure: false };
        // What was answered is no failure of the service.
        for at_ms in 0..10 {
            attempt(&limits, &mine, at_ms, down.clone(), 408);
        }
        assert!(limits.trouble(&other).is_none());
        for at_ms in 10..15 {
            attempt(&limits, &mine, at_ms, down.clone(), 503);
        }
        let (breaker, words) = limits.trouble(&other).expect("the other key's service is down as well");
        assert_eq!((breaker.opens_at_ms(), words.as_str()), (14 + timing.probe_ms, "words"));
        assert_eq!(limits.opens_at_ms(&other, 20), 14 + timing.probe_ms);
        assert_eq!(limits.opens_at_ms(&other.clone().probing(), 20), i64::MIN, "a person asks");
        assert!(limits.begin(&other, 14 + timing.probe_ms));
        assert!(!limits.begin(&mine, 15 + timing.probe_ms), "one at a time");
        assert!(!limits.begin(&mine.clone().probing(), 15 + timing.probe_ms), "also when a person asks");
        limits.end(&other, Some(&report(Verdict::Accepted, 202)), 15 + timing.probe_ms, &timing);
        assert!(limits.trouble(&mine).is_none() && limits.begin(&mine, 15 + timing.probe_ms));
    }

    #[test]
    fn a_clock_that_is_set_back_closes_no_place() {
        const HOUR: i64 = 3_600_000;
        let timing = Timing::default();
        let down = Verdict::Transient { unsure: false };
        let patience = Verdict::Throttled { retry_after_ms: Some(30_000) };
        // What an attempt at an hour came to, and how long the place is closed after it.
        for (channel, verdict, status, times, closed_ms) in [
            ("a/slack[0]", Verdict::Accepted, 200, 3, 1_000),
            ("a/pagerduty[0]", Verdict::Accepted, 202, 1, 0),
            ("a/email[0]", Verdict::Accepted, 250, 1, 0),
            ("a/pagerduty[0]", patience, 429, 1, 30_000),
            ("a/pagerduty[0]", down, 503, 5, timing.probe_ms),
        ] {
            let (limits, place) = (ServiceLimits::default(), places(channel, false));
            for _ in 0..times {
                attempt(&limits, &place, HOUR, verdict.clone(), status);
            }
            assert_eq!(limits.opens_at_ms(&place, HOUR), HOUR + closed_ms, "{channel} {verdict:?}");
            assert_eq!(limits.opens_at_ms(&place, 0), closed_ms, "{channel} {verdict:?} set back");
        }
    }

    #[test]
    fn a_mail_server_is_spoken_to_by_one() {
        let limits = ServiceLimits::default();
        let (mine, other) = (places("a/email[0]", false), places("b/email[0]", false));
        assert!(limits.begin(&mine, 0) && !limits.begin(&other, 0));
        assert_eq!(limits.opens_at_ms(&other, 0), IN_USE_MS);
        limits.end(&mine, None, 1, &Timing::default());
        assert!(limits.begin(&other, 1));
    }
}
