//! The rules, the data, and what must come of it.

use super::Pairs;

/// Of the data, at one every 15 s.
pub(super) const STEPS: usize = 150;

pub(super) const RULES: &str = r#"groups:
- name: simple
  interval: 30s
  rules:
  - alert: Simple
    expr: '{__name__="suite", alertname="Simple", case="simple"} > 10'
    for: 6m
    labels: {foo: bar, case: simple}
    annotations: {description: it fires, summary: 'it is {{ $value }}, {{ .Value }}'}
- name: waits
  interval: 30s
  rules:
  - alert: Waits
    expr: '{__name__="suite", alertname="Waits", case="waits"} > 10'
    for: 3m
    labels: {foo: bar, case: waits}
    annotations: {summary: waits}
  - alert: Never
    expr: '{__name__="suite", alertname="Waits", case="waits"} > 99'
    for: 3m
    labels: {case: waits}
- name: short
  interval: 30s
  rules:
  - alert: NoFor
    expr: '{__name__="suite", alertname="NoFor", case="short"} > 10'
    labels: {foo: bar, case: short}
    annotations:
      numbers: '{{ humanize 1048576 }} {{ humanize1024 1048576 }} {{ humanizeDuration 135.3563 }} {{ humanizePercentage 0.959 }} {{ humanizeTimestamp 1643114203 }}'
      asked: >-
        {{ define "asked" }}{{ .arg0 }} {{ .arg1 }} {{ .arg2 }}: {{ with query "suite{case='short',for='template'}" }}{{
        . | sortByLabel "id" | first | label "id" }} of {{ range $v := sortByLabel "id" . }}{{ . | label "id" }}={{ . | value }};{{
        end }}{{ end }}{{ end }}{{ template "asked" (args "foo" "bar" 99) }}
  - alert: ShortFor
    expr: '{__name__="suite", alertname="ShortFor", case="short"} > 13'
    for: 15s
    labels: {ba_dum: tss, case: short}
    annotations:
      texts: '{{ title "a few words" }} {{ toUpper "up" }} {{ toLower "DOWN" }} {{ stripPort "[::1]:6006" }} {{ stripPort "127.0.0.1:4004" }} {{ parseDuration "2h10m15s" }} {{ if match "[0-9]+" "1234" }}{{ reReplaceAll "r.*d" "replaced" "rpld text" }}{{ end }}{{ if match "[0-9]+$" "1234a" }}no{{ end }}'
- name: order
  interval: 30s
  rules:
  - alert: Joined
    expr: '{__name__="suite", alertname="Joined", case="order"} > 10'
    for: 3m
    labels: {foo: bar, case: order}
    annotations: {summary: more to come}
  - alert: Both
    expr: >-
      (ALERTS{alertstate="firing", alertname="Joined", foo="bar", case="order", variant="one"} + ignoring(variant)
      ALERTS{alertstate="firing", alertname="Joined", foo="bar", case="order", variant="two"}) == 2
    labels: {foo: baz, ba_dum: tss, case: order}
    annotations: {summary: 'over {{ $labels.alertname }} with {{ .Labels.foo }}'}
"#;

/// A series: its labels beside the name, and its values as from which step each holds; it ends at the last one's end.
pub(super) struct Series {
    pub(super) labels: &'static [(&'static str, &'static str)],
    pub(super) values: &'static [(usize, f64)],
    pub(super) steps: usize,
}

pub(super) const SERIES: &[Series] = &[
    Series {
        labels: &[("alertname", "Simple"), ("case", "simple")],
        values: &[(0, 3.0), (1, 5.0), (4, 9.0), (8, 11.0), (21, 15.0), (53, 19.0), (69, 9.0), (89, 15.0), (134, 8.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("alertname", "Waits"), ("case", "waits")],
        values: &[(0, 3.0), (8, 11.0), (19, 9.0)],
        steps: 20,
    },
    Series {
        labels: &[("alertname", "NoFor"), ("case", "short")],
        values: &[(0, 3.0), (8, 15.0), (21, 9.0), (93, 11.0), (106, 9.0)],
        steps: 107,
    },
    Series {
        labels: &[("alertname", "ShortFor"), ("case", "short")],
        values: &[(0, 3.0), (8, 15.0), (21, 9.0), (93, 11.0), (106, 9.0)],
        steps: 107,
    },
    Series {
        labels: &[("__value__", "val1"), ("case", "short"), ("for", "template"), ("id", "101")],
        values: &[(0, 1.0), (28, 2.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("__value__", "val2"), ("case", "short"), ("for", "template"), ("id", "102")],
        values: &[(0, 2.0), (28, 4.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("__value__", "val3"), ("case", "short"), ("for", "template"), ("id", "103")],
        values: &[(0, 3.0), (28, 6.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("alertname", "Joined"), ("case", "order"), ("variant", "one")],
        values: &[(0, 1.0), (8, 11.0), (73, 9.0)],
        steps: STEPS,
    },
    Series {
        labels: &[("alertname", "Joined"), ("case", "order"), ("variant", "two")],
        values: &[(0, 1.0), (32, 11.0), (65, 9.0)],
        steps: STEPS,
    },
];

/// From which step on an alert has a value, and says what of it.
type Words = (usize, f64, &'static [(&'static str, &'static str)]);

/// One episode of an alert, in steps.
pub(super) struct Episode {
    pub(super) alert: &'static [(&'static str, &'static str)],
    /// The first from when it is active.
    pub(super) words: &'static [Words],
    /// As when it is active without `for`; `None` when it ends before.
    pub(super) fires: Option<usize>,
    pub(super) ends: usize,
    /// When it begins anew while its end is still sent.
    pub(super) again: Option<usize>,
}

impl Episode {
    pub(super) fn active(&self) -> usize {
        self.words[0].0
    }

    /// What it may say between two steps, as fractions.
    pub(super) fn words_between(&self, from: f64, until: f64) -> impl Iterator<Item = &'static Words> {
        let ends = self.words.iter().skip(1).map(|(step, ..)| *step as f64).chain([f64::INFINITY]);
        let holds =
            self.words.iter().zip(ends).filter(move |((begins, ..), ends)| *begins as f64 <= until && from < *ends);
        holds.map(|(words, _)| words)
    }
}

const NUMBERS: (&str, &str) = ("numbers", "1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC");
const TEXTS: (&str, &str) = ("texts", "A Few Words UP down ::1 127.0.0.1 7815 replaced text");
const FIRES: (&str, &str) = ("description", "it fires");

pub(super) const EPISODES: &[Episode] = &[
    // Its value, and what it says, move while it waits and while it fires.
    Episode {
        alert: &[("alertname", "Simple"), ("case", "simple"), ("foo", "bar")],
        words: &[
            (8, 11.0, &[FIRES, ("summary", "it is 11, 11")]),
            (21, 15.0, &[FIRES, ("summary", "it is 15, 15")]),
            (53, 19.0, &[FIRES, ("summary", "it is 19, 19")]),
        ],
        fires: Some(32),
        ends: 69,
        again: Some(89),
    },
    Episode {
        alert: &[("alertname", "Simple"), ("case", "simple"), ("foo", "bar")],
        words: &[(89, 15.0, &[FIRES, ("summary", "it is 15, 15")])],
        fires: Some(113),
        ends: 134,
        again: None,
    },
    Episode {
        alert: &[("alertname", "Waits"), ("case", "waits"), ("foo", "bar")],
        words: &[(8, 11.0, &[("summary", "waits")])],
        fires: None,
        ends: 19,
        again: None,
    },
    Episode {
        alert: &[("alertname", "NoFor"), ("case", "short"), ("foo", "bar")],
        words: &[(8, 15.0, &[("asked", "foo bar 99: 101 of 101=1;102=2;103=3;"), NUMBERS])],
        fires: Some(8),
        ends: 21,
        again: None,
    },
    // Long after its last end was told.
    Episode {
        alert: &[("alertname", "NoFor"), ("case", "short"), ("foo", "bar")],
        words: &[(93, 11.0, &[("asked", "foo bar 99: 101 of 101=2;102=4;103=6;"), NUMBERS])],
        fires: Some(93),
        ends: 106,
        again: None,
    },
    // At the second evaluation and not before: half an interval is no evaluation's time.
    Episode {
        alert: &[("alertname", "ShortFor"), ("ba_dum", "tss"), ("case", "short")],
        words: &[(8, 15.0, &[TEXTS])],
        fires: Some(10),
        ends: 21,
        again: None,
    },
    Episode {
        alert: &[("alertname", "Joined"), ("case", "order"), ("foo", "bar"), ("variant", "one")],
        words: &[(8, 11.0, &[("summary", "more to come")])],
        fires: Some(20),
        ends: 73,
        again: None,
    },
    Episode {
        alert: &[("alertname", "Joined"), ("case", "order"), ("foo", "bar"), ("variant", "two")],
        words: &[(32, 11.0, &[("summary", "more to come")])],
        fires: Some(44),
        ends: 65,
        again: None,
    },
    // In the same evaluation as the second of those that it looks at; its template sees the labels of its result.
    Episode {
        alert: &[("alertname", "Both"), ("alertstate", "firing"), ("ba_dum", "tss"), ("case", "order"), ("foo", "baz")],
        words: &[(44, 2.0, &[("summary", "over Joined with bar")])],
        fires: Some(44),
        ends: 65,
        again: None,
    },
];

/// What the rules API says of a rule besides its states: name, `for` in s, expression without spaces, labels, names of annotations.
type Shown = (&'static str, f64, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// By group, in their order.
pub(super) const SHOWN: &[(&str, &[Shown])] = &[
    (
        "simple",
        &[(
            "Simple",
            360.0,
            r#"{__name__="suite",alertname="Simple",case="simple"}>10"#,
            &[("foo", "bar"), ("case", "simple")],
            &["description", "summary"],
        )],
    ),
    (
        "waits",
        &[
            (
                "Waits",
                180.0,
                r#"{__name__="suite",alertname="Waits",case="waits"}>10"#,
                &[("foo", "bar"), ("case", "waits")],
                &["summary"],
            ),
            ("Never", 180.0, r#"{__name__="suite",alertname="Waits",case="waits"}>99"#, &[("case", "waits")], &[]),
        ],
    ),
    (
        "short",
        &[
            (
                "NoFor",
                0.0,
                r#"{__name__="suite",alertname="NoFor",case="short"}>10"#,
                &[("foo", "bar"), ("case", "short")],
                &["asked", "numbers"],
            ),
            (
                "ShortFor",
                15.0,
                r#"{__name__="suite",alertname="ShortFor",case="short"}>13"#,
                &[("ba_dum", "tss"), ("case", "short")],
                &["texts"],
            ),
        ],
    ),
    (
        "order",
        &[
            (
                "Joined",
                180.0,
                r#"{__name__="suite",alertname="Joined",case="order"}>10"#,
                &[("foo", "bar"), ("case", "order")],
                &["summary"],
            ),
            (
                "Both",
                0.0,
                r#"(ALERTS{alertstate="firing",alertname="Joined",foo="bar",case="order",variant="one"}+ignoring(variant)ALERTS{alertstate="firing",alertname="Joined",foo="bar",case="order",variant="two"})==2"#,
                &[("foo", "baz"), ("ba_dum", "tss"), ("case", "order")],
                &["summary"],
            ),
        ],
    ),
];

pub(super) fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
