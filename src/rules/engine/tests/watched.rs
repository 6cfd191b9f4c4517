//! How long nobody looked at a group: what a dead man's switch goes by.

use super::*;

const OTHER: &str = "
- name: other
  interval: 1h
  rules: [{alert: Other, expr: up == 0}]
";

#[test]
fn a_reload_and_the_clock_are_no_reason_to_think_that_nobody_looks() {
    let long = Duration::from_secs(60);
    let mut bench = Bench::start(RULES);
    bench.minute(&["a"], &[]);
    let unseen = |bench: &Bench| -> Vec<(String, bool)> {
        bench.inner().view().into_iter().map(|group| (group.name, group.unseen_for >= long)).collect()
    };
    let said =
        |all: &[(&str, bool)]| all.iter().map(|(name, is_late)| ((*name).to_owned(), *is_late)).collect::<Vec<_>>();
    assert_eq!(unseen(&bench), said(&[("hosts", false)]));
    for member in lock(&bench.inner().groups).iter() {
        let mut shown = lock(&member.shown);
        shown.looked = shown.looked.checked_sub(long).expect("a machine that runs for a minute");
    }
    assert_eq!(unseen(&bench), said(&[("hosts", true)]));
    // What nobody looked at is not looked at by a reload; what is new has time.
    bench.inner().reload(groups(&format!("{RULES}{OTHER}")));
    assert_eq!(unseen(&bench), said(&[("hosts", true), ("other", false)]));
    // A time that is not later is no evaluation.
    bench.evaluate();
    assert_eq!(unseen(&bench), said(&[("hosts", true), ("other", false)]));
    bench.minute(&["a"], &[]);
    assert_eq!(unseen(&bench), said(&[("hosts", false), ("other", false)]));
}
