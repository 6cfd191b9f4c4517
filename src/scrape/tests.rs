//! Scrape after scrape of one target: what is stored, what is ended, what is told of it.

use std::collections::HashMap;
use std::sync::Arc;

use codec::exposition::{Buckets, Format};
use codec::otlp::{Delta, KnownSeries, MetricsSettings, Promote, Translation};
use model::metric::is_stale;
use model::{Labels, MetricBatch, MsRange, SeriesEntry, SeriesId};

use super::batch::{Builder, Counts, Rules, refusals};
use super::cache::{Cache, Owner};
use super::discovery::Group;
use super::resolution::Resolution;
use super::target::{Labelled, Target};
use crate::relabel::Relabeler;

const AT: i64 = 1_795_226_400_000;

/// A target, and a store that knows what it was given.
struct World {
    cache: Cache,
    target: Labels,
    metrics: MetricsSettings,
    known: Known,
    forgets: bool,
    honor_labels: bool,
    relabel: Relabeler,
    honor_timestamps: bool,
    sample_limit: usize,
    label_limit: usize,
    at_ms: i64,
    format: Format,
}

#[derive(Default)]
struct Known(HashMap<u128, (SeriesId, Labels)>);

impl KnownSeries for Known {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.0.get(&key).map(|(id, _)| *id)
    }

    fn knows_metadata(&self, _: u64) -> bool {
        false
    }
}

impl World {
    fn new() -> World {
        World {
            cache: Cache::default(),
            target: Labels::from_pairs([("job", "j")]),
            metrics: MetricsSettings {
                promote: Promote::All,
                ignore: Vec::new(),
                translation: Translation::NoTranslation,
                delta: Delta::Cumulative,
                promote_scope: false,
                keep_identifying: false,
                labels_max: 6,
                label_name_bytes_max: 50,
                label_value_bytes_max: 50,
            },
            known: Known::default(),
            forgets: false,
            honor_labels: false,
            relabel: Relabeler::default(),
            honor_timestamps: true,
            sample_limit: 0,
            label_limit: 0,
            at_ms: AT,
            format: Format::Text,
        }
    }

    /// Scrapes `body` and stores what comes of it: samples in order, then exemplars, refusals, and the failure.
    fn scrape(&mut self, body: &str) -> (Vec<String>, Counts) {
        self.at_ms += 1_000;
        let owner = Owner { labels: &self.target, honor_labels: self.honor_labels, relabel: &self.relabel };
        let rules = Rules {
            owner,
            honor_timestamps: self.honor_timestamps,
            sample_limit: self.sample_limit,
            label_limit: self.label_limit,
            buckets: Buckets::Classic,
            resolution: Resolution::default(),
            metrics: &self.metrics,
            accept: MsRange { start_ms: AT - 10_000, end_ms: AT + 100_000 },
        };
        let mut builder = Builder::new(&self.known);
        self.cache.begin();
        let read = builder.answer(body.as_bytes(), self.format, self.at_ms, &rules, &mut self.cache);
        if read.is_err() {
            builder.clear();
        }
        builder.end(&self.cache.ended(read.is_err()), owner, self.at_ms);
        let counts = builder.counts;
        let refused = refusals(&builder.rejected, counts.duplicates);
        let (batch, _) = builder.finish();
        assert_eq!(batch.points.len(), batch.samples.len());
        let labels = self.labels(&batch);
        let told = batch.samples.iter().map(|(series, sample)| {
            let value = if is_stale(sample.value) { "stale".into() } else { sample.value.to_string() };
            format!("{} {value}@{}", labels[*series as usize], sample.at_ms - self.at_ms)
        });
        let exemplars = batch
            .exemplars
            .iter()
            .map(|(series, exemplar)| format!("{} # {} {}", labels[*series as usize], exemplar.labels, exemplar.value));
        let told = told.chain(exemplars).chain(refused).chain(read.as_ref().err().cloned()).collect();
        self.learn(&batch);
        self.cache.commit(read.is_err());
        (told, counts)
    }

    fn labels(&self, batch: &MetricBatch) -> Vec<String> {
        let of = |entry: &SeriesEntry| match entry {
            SeriesEntry::New { labels, .. } => labels.to_string(),
            SeriesEntry::Known(id) => self.known.0.values().find(|(known, _)| known == id).unwrap().1.to_string(),
        };
        batch.series.iter().map(of).collect()
    }

    fn learn(&mut self, batch: &MetricBatch) {
        for entry in &batch.series {
            if let SeriesEntry::New { key, labels } = entry
                && !self.forgets
            {
                let id = SeriesId(self.known.0.len() as u64);
                self.known.0.insert(*key, (id, labels.clone()));
            }
        }
    }

    #[track_caller]
    fn check(&mut self, body: &str, expected: &[&str]) {
        assert_eq!(self.scrape(body).0, expected, "{body}");
    }
}

#[test]
fn series_that_are_gone_end_and_those_that_come_back_begin_anew() {
    for forgets in [false, true] {
        let mut world = World { forgets, ..World::new() };
        world.check("a 1\nb{x=\"y\"} 2\n", &[r#"a{job="j"} 1@0"#, r#"b{job="j",x="y"} 2@0"#]);
        world.check("b{x=\"y\"} 3\n", &[r#"b{job="j",x="y"} 3@0"#, r#"a{job="j"} stale@0"#]);
        world.check("b{x=\"y\"} 3\n", &[r#"b{job="j",x="y"} 3@0"#]);
        world.check("a 1\n", &[r#"a{job="j"} 1@0"#, r#"b{job="j",x="y"} stale@0"#]);
        // A target that is down, or answers with something else, ends all; once.
        let broken = r#"line 1: a metric's name expected, found "<html>""#;
        world.check("<html>\n", &[r#"a{job="j"} stale@0"#, broken]);
        world.check("<html>\n", &[broken]);
        world.check("a 1\n", &[r#"a{job="j"} 1@0"#]);
        // What was read before the fault is not stored.
        world.check(
            "a 1\nc 2\nd\n",
            &[r#"a{job="j"} stale@0"#, "line 3: a value expected after the metric, found the end of the line"],
        );
    }
}

#[test]
fn a_series_written_in_other_words_goes_on() {
    let mut world = World::new();
    world.check("a{x=\"1\",y=\"2\"} 1\n", &[r#"a{job="j",x="1",y="2"} 1@0"#]);
    world.check("a{y=\"2\", x=\"1\"} 2\n", &[r#"a{job="j",x="1",y="2"} 2@0"#]);
    world.check("", &[r#"a{job="j",x="1",y="2"} stale@0"#]);
}

#[test]
fn timestamps_of_the_target_are_kept_and_not_ended() {
    let mut world = World::new();
    let own = AT - 500;
    world.check(&format!("a 1 {own}\n"), &[r#"a{job="j"} 1@-1500"#]);
    world.check("", &[]);
    world
        .check(&format!("a 1 {}\n", AT - 20_000), &["1 too_old: 2026-11-21T01:59:40.000Z is older than the retention"]);
    world.honor_timestamps = false;
    world.check(&format!("a 1 {own}\n"), &[r#"a{job="j"} 1@0"#]);
    world.check("", &[r#"a{job="j"} stale@0"#]);
}

#[test]
fn counts_are_those_of_prometheus() {
    let mut world = World::new();
    let counts = |scraped, added, series_added, duplicates| Counts { scraped, added, series_added, duplicates };
    assert_eq!(world.scrape("a 1\nb 1\n").1, counts(2, 2, 2, 0));
    assert_eq!(world.scrape("a 1\nc 1\n").1, counts(2, 2, 1, 0));
    let (told, counted) = world.scrape("a 1\na 2\nc 1\n");
    assert_eq!(counted, counts(3, 3, 0, 1));
    assert_eq!(
        told,
        [
            r#"a{job="j"} 1@0"#,
            r#"c{job="j"} 1@0"#,
            "1 malformed: a series has several samples without timestamps, the first counts",
        ]
    );
    world.sample_limit = 2;
    let (told, counted) = world.scrape("a 1\nc 2\nd 3\ne 4\n");
    assert_eq!((counted.scraped, counted.added), (4, 4));
    assert_eq!(told, [r#"a{job="j"} stale@0"#, r#"c{job="j"} stale@0"#, "4 samples, the limit is 2 (sample_limit)",]);
    world.sample_limit = 0;
    world.label_limit = 2;
    assert_eq!(world.scrape("a{b=\"c\"} 1\n").0, [r#"3 labels, the limit is 2 (label_limit): a{b="c",job="j"}"#]);
    world.label_limit = 0;
    let many = "a{l1=\"1\",l2=\"1\",l3=\"1\",l4=\"1\",l5=\"1\"} 1\nb 1\n";
    assert_eq!(world.scrape(many).0, [r#"b{job="j"} 1@0"#, "1 label_limit: 7 labels, the limit is 6 (limits.labels)"]);
}

#[test]
fn honoured_labels_win() {
    let mut world = World { honor_labels: true, ..World::new() };
    world.check("a{job=\"own\"} 1\n", &[r#"a{job="own"} 1@0"#]);
    world.check("", &[r#"a{job="own"} stale@0"#]);
    let mut world = World::new();
    world.check("a{job=\"own\"} 1\n", &[r#"a{exported_job="own",job="j"} 1@0"#]);
    world.check(
        "a{b=\"1\",b=\"2\"} 1\n",
        &[r#"a{exported_job="own",job="j"} stale@0"#, r#"label "b" stands twice in one sample"#],
    );
}

#[test]
fn an_exemplar_with_a_label_twice_is_refused_and_its_sample_kept() {
    let mut world = World { format: Format::OpenMetrics, ..World::new() };
    world.check(
        "a_total 1 # {id=\"x\",of=\"x\"} 3\nb_total 2 # {id=\"x\",of=\"y\",id=\"x\"} 4\n# EOF\n",
        &[
            r#"a_total{job="j"} 1@0"#,
            r#"b_total{job="j"} 2@0"#,
            r#"a_total{job="j"} # {id="x",of="x"} 3"#,
            r#"1 bad_name: an exemplar: label "id" stands twice"#,
        ],
    );
}

#[test]
fn samples_are_relabelled_and_dropped() {
    let steps = "
        steps = [
            {source_labels = ['__name__'], regex = 'go_.*', action = 'drop'},
            {source_labels = ['path'], regex = '/api/([a-z]+)/.*', target_label = 'route'},
            {regex = 'path', action = 'labeldrop'},
        ]";
    let steps: std::collections::BTreeMap<String, Vec<crate::config::Relabel>> = toml::from_str(steps).unwrap();
    let relabel = Relabeler::new(&steps["steps"]).unwrap();
    let mut world = World { relabel, sample_limit: 2, ..World::new() };
    let body = "go_a 1\nx{path=\"/api/users/7\"} 2\ngo_b 1\ny{path=\"/\"} 3\n";
    for _ in 0..2 {
        let (told, counts) = world.scrape(body);
        assert_eq!(told, [r#"x{job="j",route="users"} 2@0"#, r#"y{job="j"} 3@0"#]);
        // What is dropped counts against no limit.
        assert_eq!((counts.scraped, counts.added), (4, 2));
    }
    world.check("go_a 1\n", &[r#"x{job="j",route="users"} stale@0"#, r#"y{job="j"} stale@0"#]);
}

#[test]
fn what_other_labels_leave_behind_ends_with_the_next_scrape() {
    let job = |more: &str| -> crate::config::Scrape { toml::from_str(&format!("job = 'j'\n{more}")).unwrap() };
    let target = |job: &crate::config::Scrape| match Target::relabelled(job, "h:1", &Group::default()) {
        Ok(Labelled::Kept(target)) => Arc::new(*target),
        _ => panic!("kept"),
    };
    let (plain, honest) = (target(&job("")), target(&job("honor_labels = true")));
    assert!(plain.names_alike(&target(&job("interval = '3s'"))) && !plain.names_alike(&honest));
    let body = "a{job=\"own\"} 1\nb 1\n";
    for failed in [false, true] {
        let mut world = World { target: plain.labels.clone(), ..World::new() };
        world.scrape(body);
        world.cache = std::mem::take(&mut world.cache).taken_over(&plain);
        // A second change before anything was scraped forgets nothing.
        world.cache = std::mem::take(&mut world.cache).taken_over(&honest);
        world.honor_labels = true;
        world.cache.begin();
        let mut builder = Builder::new(&world.known);
        let rules = Rules {
            owner: honest.owner(),
            honor_timestamps: true,
            sample_limit: 0,
            label_limit: 0,
            buckets: Buckets::Classic,
            resolution: Resolution::default(),
            metrics: &world.metrics,
            accept: MsRange { start_ms: AT, end_ms: AT + 100_000 },
        };
        if !failed {
            builder.answer(body.as_bytes(), Format::Text, AT, &rules, &mut world.cache).unwrap();
        }
        let (former, ended) = world.cache.former_ended(failed).unwrap();
        let ended: Vec<String> =
            ended.iter().map(|cached| cached.labels(former.owner()).unwrap().to_string()).collect();
        let renamed = r#"a{exported_job="own",instance="h:1",job="j"}"#;
        let same = r#"b{instance="h:1",job="j"}"#;
        assert_eq!(ended, if failed { vec![renamed, same] } else { vec![renamed] });
        world.cache.commit(failed);
        assert!(world.cache.former_ended(false).is_none());
    }
}
