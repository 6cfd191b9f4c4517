//! Who has an alert, and who had it: from the trail of what people did, where an acknowledgement that replaced another leaves both.

use model::{Ack, AuditEntry};
use notify::AlertStatus;

use super::text::{Stamp, one_line};

/// Newest lines of the trail among which those of one alert are looked for.
pub(super) const TRAIL_MAX: usize = 1_000;
/// People shown.
const TAKERS_MAX: usize = 10;
/// Characters of one line.
const WORDS_MAX: usize = 400;

/// A line for each acknowledgement of what fires now, the newest last. `trail` has the newest first.
pub(super) fn takers(trail: &[AuditEntry], status: &AlertStatus, now_ms: i64) -> Vec<String> {
    let instance = &status.instance;
    let episode = instance.episode().unwrap_or_default();
    lines(trail, &episode, instance.labels.value("alertname"), status.ack.as_ref(), now_ms)
}

/// `ack` is the one that holds.
fn lines(trail: &[AuditEntry], episode: &str, name: &str, ack: Option<&Ack>, now_ms: i64) -> Vec<String> {
    let at = |at_ms: i64| Stamp::of_ms(at_ms, now_ms).text;
    let mut lines = Vec::new();
    if let Some(ack) = ack {
        let until = ack.until_ms.map(|until_ms| format!(" until {}", at(until_ms))).unwrap_or_default();
        lines.push(format!("{} has it since {}{until}: {}", ack.by, at(ack.at_ms), ack.comment));
    }
    // When the one that is looked at was over; `None` where nothing says.
    let mut over_ms = None;
    for entry in trail.iter().filter(|entry| entry.subject == episode) {
        if entry.action == "alert acknowledged" && ack.is_none_or(|ack| ack.at_ms != entry.at_ms) {
            let until = over_ms.map(|over_ms| format!(" to {}", at(over_ms))).unwrap_or_default();
            let name = format!("{name}: ");
            let comment = entry.note.strip_prefix(&name).unwrap_or(&entry.note);
            lines.push(format!("{} had it from {}{until}: {comment}", entry.who, at(entry.at_ms)));
        }
        over_ms = Some(entry.at_ms);
    }
    lines.truncate(TAKERS_MAX);
    lines.reverse();
    lines.iter().map(|line| one_line(line, WORDS_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 43_200_000;

    fn entry(at_s: i64, who: &str, action: &str, subject: &str) -> AuditEntry {
        let note = format!("Disk: {who}'s");
        AuditEntry { at_ms: NOON + at_s * 1_000, who: who.into(), action: action.into(), subject: subject.into(), note }
    }

    #[test]
    fn each_taker_has_a_line() {
        let (took, gave) = ("alert acknowledged", "acknowledgement taken back");
        let check = |trail: &[AuditEntry], ack: Option<(&str, i64, Option<i64>)>, expected: &[&str]| {
            let ack = ack.map(|(by, at_s, until_s)| Ack {
                episode: "e-1".into(),
                by: by.into(),
                comment: "on it".into(),
                at_ms: NOON + at_s * 1_000,
                until_ms: until_s.map(|until_s| NOON + until_s * 1_000),
            });
            let mut trail = trail.to_vec();
            trail.reverse();
            assert_eq!(lines(&trail, "e-1", "Disk", ack.as_ref(), NOON), expected);
        };
        check(&[], None, &[]);
        let anna = entry(0, "anna", took, "e-1");
        check(std::slice::from_ref(&anna), Some(("anna", 0, None)), &["anna has it since 12:00:00: on it"]);
        check(&[entry(0, "eve", took, "other"), entry(1, "S", "silence created", "s1")], None, &[]);
        let bert = entry(9, "bert", took, "e-1");
        check(
            &[anna.clone(), entry(3, "eve", took, "other"), bert.clone()],
            Some(("bert", 9, Some(69))),
            &["anna had it from 12:00:00 to 12:00:09: anna's", "bert has it since 12:00:09 until 12:01:09: on it"],
        );
        check(
            &[anna.clone(), entry(4, "page", gave, "e-1"), bert],
            None,
            &["anna had it from 12:00:00 to 12:00:04: anna's", "bert had it from 12:00:09: bert's"],
        );
        let many: Vec<AuditEntry> = (0..30).map(|n| entry(n, "anna", took, "e-1")).collect();
        let mut trail = many;
        trail.reverse();
        assert_eq!(lines(&trail, "e-1", "Disk", None, NOON).len(), TAKERS_MAX);
    }
}
