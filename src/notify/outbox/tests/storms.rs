//! Storms: whoever joins one is news to everybody, and what a storm's message says is of what still fires.

use super::*;
use crate::message::compose;

/// So many alerts at once are a storm, each of a name and a host of its own.
const MANY: i64 = 12;

fn alert(name: &str, host: &str, at_ms: i64) -> Instance {
    let mut instance = firing(host, "critical", at_ms);
    instance.labels = instance.labels.with("alertname", name);
    instance
}

/// A storm that was told to this receiver, at 0.
fn storm(receiver: &str, channel: &str) -> Bench {
    let mut bench =
        Bench::new(&format!("{{receiver: {receiver}, group_by: ['...'], group_wait: 0s, group_interval: 1m}}"));
    for n in 0..MANY {
        bench.take(&alert(if n < 8 { "Down" } else { "Slow" }, &format!("h{n}"), 0), 0);
    }
    let sent = bench.attempt(channel, 0, Verdict::Accepted);
    assert_eq!((is_storm(&sent.intent), sent.intent.instances.len()), (true, 12));
    bench
}

#[test]
fn whoever_joins_a_storm_is_news_where_nothing_is_edited() {
    let mut bench = storm("slack", "slack/slack[0]");
    let late = alert("Late", "h90", 10_000);
    bench.take(&late, 10_000);
    assert_eq!(bench.next(), Some(MINUTE));
    let key = bench.due("slack/slack[0]", MINUTE)[0].clone();
    let said = visible(bench.outbox.get(&key).unwrap());
    assert!(!is_quiet(&said) && said.instances.contains(&late), "a message that cannot be edited is sent again");
    assert!(!is_loud(&said), "no bell of its own where it is edited");
    bench.attempt("slack/slack[0]", MINUTE, Verdict::Accepted);
    assert!(!is_news(bench.only()) && is_told(bench.only(), &late));
    // And once more when nothing new came for long.
    let calm_ms = 10_000 + 5 * MINUTE;
    bench.sweep(calm_ms);
    assert!(!is_quiet(&visible(bench.only())));
    bench.attempt("slack/slack[0]", calm_ms, Verdict::Accepted);
    let only = bench.only();
    assert!(
        is_quiet(&visible(only)) && matches!(only.progress, Progress::Accepted { .. }),
        "that it is over is said once"
    );
}

#[test]
fn whoever_joins_a_storm_has_a_stand_in_and_is_undelivered_while_nobody_takes_it() {
    let mut bench = storm("guarded", "guarded/slack[0]");
    let late = alert("Late", "h90", 10_000);
    bench.take(&late, 10_000);
    bench.attempt("guarded/slack[0]", MINUTE, Verdict::Transient { unsure: false });
    let undelivered = |bench: &Bench, now_ms| {
        let health = bench.health.clone();
        bench.outbox.undelivered(&|_| health.clone(), now_ms)
    };
    assert_eq!(undelivered(&bench, MINUTE + 10_000).len(), 1);
    bench.sweep(2 * MINUTE);
    let sent = bench.attempt("stand-in/slack[0]", 2 * MINUTE, Verdict::Accepted);
    assert!(sent.intent.instances.contains(&late), "{:?}", sent.intent.instances);
    assert!(undelivered(&bench, 2 * MINUTE).is_empty());
    bench.sweep(3 * MINUTE);
    assert!(bench.due("stand-in/slack[0]", 3 * MINUTE).is_empty(), "told once");
}

#[test]
fn a_storms_headline_and_names_are_of_what_still_fires() {
    let mut bench = storm("slack", "slack/slack[0]");
    let check = |bench: &Bench, headline: &str, names: &str| {
        let intent = bench.outbox.iter().map(|(_, intent)| intent).find(|intent| is_storm(intent)).unwrap();
        let message = compose(intent, "http://b");
        assert_eq!(message.headline(), headline);
        assert_eq!(message.notes[0], names);
    };
    check(&bench, "[FIRING critical] Storm: 12 alerts, 12 places, top Down ×8", "Now firing: Down ×8, Slow ×4");
    let end = |bench: &mut Bench, name: &str, hosts: std::ops::Range<i64>| {
        for n in hosts {
            bench.take(&ended(&alert(name, &format!("h{n}"), 0), MINUTE), MINUTE);
        }
    };
    end(&mut bench, "Down", 0..7);
    check(
        &bench,
        "[FIRING critical] Storm: 12 alerts, 5 of them firing, 5 places, top Slow ×4",
        "Now firing: Slow ×4, Down",
    );
    // Their end is told: the message goes on with the others, and the storm was as big as it was.
    bench.attempt("slack/slack[0]", 2 * MINUTE, Verdict::Accepted);
    end(&mut bench, "Down", 7..8);
    check(&bench, "[FIRING critical] Storm: 12 alerts, 4 of them firing, 4 places, top Slow ×4", "Now firing: Slow ×4");
    end(&mut bench, "Slow", 8..12);
    check(&bench, "[RESOLVED critical] Storm: 12 alerts, 5 places, top Slow ×4", "Just ended: Slow ×4, Down");
}
