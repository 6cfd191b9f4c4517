//! Making, changing and ending silences, and acknowledging alerts: the steps behind every door that offers them.
//!
//! The rules for changing a silence are Alertmanager's (`silence/silence.go`): what happened while it was active stays true, so
//! an active one keeps its id only while its matchers and its beginning stay; else it ends and another begins.

use std::hash::{BuildHasher, Hasher};

use model::time::format_duration_ms;
use model::{Ack, AuditEntry, Kind, MatchOp, Matcher, Silence, SilenceState};
use store::{Alerts, SilenceChange, StoreError};

use crate::config::Interval;

/// Most silences that are not over.
const SILENCES_MAX: usize = 10_000;
/// Most matchers of one silence.
const MATCHERS_MAX: usize = 100;
/// Most annotations of one silence.
const ANNOTATIONS_MAX: usize = 100;
/// Longest author, comment or annotation, in bytes.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// What somebody wants silenced.
#[derive(Debug, Clone, Default)]
pub struct SilenceDraft {
    /// The silence to change; empty for a new one.
    pub id: String,
    pub matchers: Vec<Matcher>,
    pub starts_ms: i64,
    pub ends_ms: i64,
    pub created_by: String,
    pub comment: String,
    /// Kept for other programs and shown to them, no more.
    pub annotations: Vec<(String, String)>,
    /// When within its time it holds, as one of Alertmanager's time intervals in YAML; empty for always.
    pub schedule: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SilenceError {
    #[error("{0}")]
    Invalid(String),
    #[error("silence {id} not found")]
    NotFound { id: String },
    #[error("silence {id} already expired")]
    Expired { id: String },
    #[error("no firing alert has the fingerprint {fingerprint}")]
    NoAlert { fingerprint: String },
    #[error("{limit} silences are kept at once; expire some first")]
    TooMany { limit: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SilenceError {
    pub fn kind(&self) -> Kind {
        match self {
            SilenceError::Invalid(_) | SilenceError::Expired { .. } => Kind::Invalid,
            SilenceError::NotFound { .. } | SilenceError::NoAlert { .. } => Kind::NotFound,
            SilenceError::TooMany { .. } => Kind::TooMuch,
            SilenceError::Store(error) => error.kind(),
        }
    }
}

/// Makes or changes a silence; returns the id it has from now on. `who` is who asked, for the audit trail.
pub(crate) fn set(
    alerts: &Alerts,
    draft: SilenceDraft,
    longest_ms: i64,
    who: &str,
    now_ms: i64,
) -> Result<String, SilenceError> {
    check(&draft, longest_ms, now_ms)?;
    let all = alerts.silences()?;
    let old = match draft.id.as_str() {
        "" => None,
        id => {
            let found = all.iter().find(|silence| silence.id == id);
            Some(found.ok_or_else(|| SilenceError::NotFound { id: id.into() })?.clone())
        }
    };
    let mut silence = Silence {
        id: draft.id,
        matchers: draft.matchers,
        starts_ms: draft.starts_ms,
        ends_ms: draft.ends_ms,
        updated_ms: now_ms,
        created_by: draft.created_by,
        comment: draft.comment,
        annotations: draft.annotations,
        schedule: draft.schedule,
    };
    let mut change = SilenceChange::default();
    let note = |silence: &Silence| {
        let texts: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
        let ends = model::time::rfc3339_ms(silence.ends_ms);
        format!("{{{}}} until {ends}: {}", texts.join(","), silence.comment)
    };
    let entry = |action: &str, silence: &Silence| AuditEntry {
        at_ms: now_ms,
        who: if who.is_empty() { silence.created_by.clone() } else { who.into() },
        action: action.into(),
        subject: silence.id.clone(),
        note: note(silence),
    };
    match old {
        Some(old) if can_update(&old, &silence, now_ms) => change.audit.push(entry("silence changed", &silence)),
        old => {
            let open = all.iter().filter(|silence| silence.state(now_ms) != SilenceState::Expired).count();
            if open >= SILENCES_MAX {
                return Err(SilenceError::TooMany { limit: SILENCES_MAX });
            }
            silence.id = new_id();
            silence.starts_ms = silence.starts_ms.max(now_ms);
            if let Some(old) = old.filter(|old| old.state(now_ms) != SilenceState::Expired) {
                let ended = ended(old, now_ms);
                change.audit.push(entry("silence expired", &ended));
                change.silences.push(ended);
            }
            change.audit.push(entry("silence created", &silence));
        }
    }
    let id = silence.id.clone();
    change.silences.push(silence);
    alerts.change_silences(&change)?;
    Ok(id)
}

/// Ends a silence now.
pub(crate) fn expire(alerts: &Alerts, id: &str, who: &str, now_ms: i64) -> Result<(), SilenceError> {
    let found = alerts.silences()?.into_iter().find(|silence| silence.id == id);
    let silence = found.ok_or_else(|| SilenceError::NotFound { id: id.into() })?;
    if silence.state(now_ms) == SilenceState::Expired {
        return Err(SilenceError::Expired { id: id.into() });
    }
    let entry = AuditEntry {
        at_ms: now_ms,
        who: who.into(),
        action: "silence expired".into(),
        subject: id.into(),
        note: silence.comment.clone(),
    };
    let change =
        SilenceChange { silences: vec![ended(silence, now_ms)], audit: vec![entry], ..SilenceChange::default() };
    Ok(alerts.change_silences(&change)?)
}

/// Notes that somebody looks after an alert's firing episode.
pub(crate) fn acknowledge(alerts: &Alerts, ack: Ack, name: &str) -> Result<(), SilenceError> {
    if ack.by.is_empty() {
        return Err(SilenceError::Invalid("say who acknowledges".into()));
    }
    if ack.by.len() > TEXT_BYTES_MAX || ack.comment.len() > TEXT_BYTES_MAX {
        return Err(SilenceError::Invalid(format!("name and comment have at most {TEXT_BYTES_MAX} bytes each")));
    }
    if ack.until_ms.is_some_and(|until_ms| until_ms <= ack.at_ms) {
        return Err(SilenceError::Invalid("the acknowledgement would be over already".into()));
    }
    let entry = AuditEntry {
        at_ms: ack.at_ms,
        who: ack.by.clone(),
        action: "alert acknowledged".into(),
        subject: ack.episode.clone(),
        note: format!("{name}: {}", ack.comment),
    };
    let change = SilenceChange { acks: vec![ack], audit: vec![entry], ..SilenceChange::default() };
    Ok(alerts.change_silences(&change)?)
}

/// Takes an acknowledgement back.
pub(crate) fn unacknowledge(alerts: &Alerts, episode: &str, who: &str, now_ms: i64) -> Result<(), SilenceError> {
    let entry = AuditEntry {
        at_ms: now_ms,
        who: who.into(),
        action: "acknowledgement taken back".into(),
        subject: episode.into(),
        note: String::new(),
    };
    let change = SilenceChange { unacked: vec![episode.into()], audit: vec![entry], ..SilenceChange::default() };
    Ok(alerts.change_silences(&change)?)
}

fn check(draft: &SilenceDraft, longest_ms: i64, now_ms: i64) -> Result<(), SilenceError> {
    let refuse = |reason: String| Err(SilenceError::Invalid(reason));
    if draft.ends_ms <= draft.starts_ms {
        return refuse("Failed to create silence: start time must be before end time".into());
    }
    if draft.ends_ms < now_ms {
        return refuse("Failed to create silence: end time can't be in the past".into());
    }
    if draft.ends_ms - draft.starts_ms.max(now_ms) > longest_ms {
        let longest = format_duration_ms(longest_ms);
        return refuse(format!("a silence lasts at most {longest} (notify.silence_max); end it earlier"));
    }
    if draft.matchers.is_empty() || draft.matchers.len() > MATCHERS_MAX {
        return refuse(format!("invalid silence: 1 to {MATCHERS_MAX} matchers required"));
    }
    if let Some(matcher) = draft.matchers.iter().find(|matcher| matcher.name.is_empty()) {
        return refuse(format!("invalid silence: invalid label matcher {matcher}: it needs a label's name"));
    }
    // As in Alertmanager, what is not to be something says enough: `site!="a"` may silence alone.
    let says_nothing =
        |matcher: &Matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex) && matcher.matches_empty();
    if draft.matchers.iter().all(says_nothing) {
        return refuse("invalid silence: at least one matcher must not match the empty string".into());
    }
    if draft.created_by.is_empty() {
        return refuse("invalid silence: say who silences (createdBy)".into());
    }
    if draft.comment.is_empty() {
        return refuse("invalid silence: say why in a comment".into());
    }
    let long = |text: &str| text.len() > TEXT_BYTES_MAX;
    let long_matcher = draft.matchers.iter().any(|matcher| long(&matcher.name) || long(&matcher.value));
    let long_annotation = draft.annotations.iter().any(|(key, value)| long(key) || long(value));
    if long(&draft.created_by) || long(&draft.comment) || long_matcher || long_annotation {
        return refuse(format!("invalid silence: texts have at most {TEXT_BYTES_MAX} bytes each"));
    }
    if draft.annotations.len() > ANNOTATIONS_MAX {
        return refuse(format!("invalid silence: at most {ANNOTATIONS_MAX} annotations"));
    }
    if !draft.schedule.is_empty()
        && let Err(reason) = Interval::parse(&draft.schedule)
    {
        return refuse(format!("invalid silence: schedule: {reason}"));
    }
    Ok(())
}

/// Whether the new form may take the old one's place under its id. Times are compared in seconds, as they travel.
fn can_update(old: &Silence, new: &Silence, now_ms: i64) -> bool {
    old.matchers == new.matchers
        && old.schedule == new.schedule
        && match old.state(now_ms) {
            SilenceState::Active => {
                old.starts_ms.div_euclid(1_000) == new.starts_ms.div_euclid(1_000) && new.ends_ms >= now_ms
            }
            SilenceState::Pending => new.starts_ms >= now_ms,
            SilenceState::Expired => false,
        }
}

fn ended(silence: Silence, now_ms: i64) -> Silence {
    let starts_ms = silence.starts_ms.min(now_ms);
    Silence { starts_ms, ends_ms: now_ms, updated_ms: now_ms, ..silence }
}

/// A random UUID (version 4, RFC 9562): the standard library seeds its hashers from the system.
fn new_id() -> String {
    let word = || std::hash::RandomState::new().build_hasher().finish();
    let (high, low) = (word(), word());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let text = format!("{high:016x}{low:016x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn draft(starts_ms: i64, ends_ms: i64) -> SilenceDraft {
        SilenceDraft {
            matchers: vec![Matcher::equal("host", "a")],
            starts_ms,
            ends_ms,
            created_by: "ann".into(),
            comment: "swap".into(),
            ..SilenceDraft::default()
        }
    }

    struct Bench {
        _dir: tempfile::TempDir,
        alerts: Alerts,
    }

    impl Bench {
        fn new() -> Bench {
            let dir = tempfile::tempdir().unwrap();
            let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
            Bench { _dir: dir, alerts }
        }

        fn set(&self, draft: SilenceDraft, now_ms: i64) -> Result<String, SilenceError> {
            set(&self.alerts, draft, 30 * DAY, "", now_ms)
        }

        fn get(&self, id: &str) -> Silence {
            self.alerts.silences().unwrap().into_iter().find(|silence| silence.id == id).expect(id)
        }
    }

    #[test]
    fn changing_an_active_silence_ends_it_unless_only_its_end_moves() {
        let bench = Bench::new();
        let id = bench.set(draft(0, 1_000_000), 10_000).unwrap();
        assert_eq!(bench.get(&id).starts_ms, 10_000, "it cannot have begun before it was made");
        assert_eq!((id.len(), &id[14..15], id.matches('-').count()), (36, "4", 4));
        // Its end alone moves.
        let longer = SilenceDraft { id: id.clone(), ..draft(10_000, 2_000_000) };
        assert_eq!(bench.set(longer, 20_000).unwrap(), id);
        assert_eq!(bench.get(&id).ends_ms, 2_000_000);
        // Other matchers: another silence.
        let mut other = SilenceDraft { id: id.clone(), ..draft(10_000, 2_000_000) };
        other.matchers.push(Matcher::equal("x", "y"));
        let new = bench.set(other, 30_000).unwrap();
        assert_ne!(new, id);
        assert_eq!(
            (bench.get(&id).state(30_000), bench.get(&new).state(30_000)),
            (SilenceState::Expired, SilenceState::Active)
        );
        // A pending one may be moved, an expired one is made anew.
        let pending = bench.set(draft(100_000, 200_000), 30_000).unwrap();
        let moved = SilenceDraft { id: pending.clone(), ..draft(150_000, 200_000) };
        assert_eq!(bench.set(moved, 30_000).unwrap(), pending);
        expire(&bench.alerts, &pending, "bob", 40_000).unwrap();
        assert_eq!(bench.get(&pending).state(40_000), SilenceState::Expired);
        assert!(matches!(expire(&bench.alerts, &pending, "bob", 40_000), Err(SilenceError::Expired { .. })));
        let again = SilenceDraft { id: pending.clone(), ..draft(50_000, 200_000) };
        assert_ne!(bench.set(again, 50_000).unwrap(), pending);
        let actions: Vec<String> =
            bench.alerts.audit(i64::MAX, 99).unwrap().into_iter().map(|entry| entry.action).collect();
        assert_eq!(actions.len(), 8, "{actions:?}");
    }

    #[test]
    fn bad_silences_say_why() {
        let bench = Bench::new();
        let check = |change: &dyn Fn(&mut SilenceDraft), part: &str| {
            let mut draft = draft(0, 100_000);
            change(&mut draft);
            let error = bench.set(draft, 1_000).expect_err(part);
            assert!(error.to_string().contains(part), "{error}");
        };
        check(&|draft| draft.ends_ms = 0, "start time must be before end time");
        check(&|draft| (draft.starts_ms, draft.ends_ms) = (0, 500), "end time can't be in the past");
        check(&|draft| draft.ends_ms = 31 * DAY, "at most 30d (notify.silence_max)");
        check(&|draft| draft.matchers.clear(), "matchers required");
        check(&|draft| draft.matchers = vec![Matcher::equal("a", "")], "must not match the empty string");
        check(&|draft| draft.created_by.clear(), "who silences");
        check(&|draft| draft.comment.clear(), "why in a comment");
        check(&|draft| draft.schedule = "weekdays: [funday]".into(), "funday");
        check(&|draft| draft.id = "nope".into(), "silence nope not found");
        assert!(bench.alerts.silences().unwrap().is_empty());
    }
}
