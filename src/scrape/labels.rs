//! A sample's labels and its target's, put together as Prometheus' scraper does (`scrape/scrape.go`, mutateSampleLabels).

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

/// What a conflicting label of the sample is renamed with.
const EXPORTED: &str = "exported_";

/// The labels of a series. Where both have a name, the target's wins and the sample's is kept as `exported_…`, unless the sample's are
/// honoured: then a sample can also refuse a label of the target by having it empty.
///
/// # Errors
/// When the sample has a name twice.
pub(super) fn of_sample(mut pairs: Vec<(String, String)>, target: &Labels, honor: bool) -> Result<Labels, String> {
    pairs.sort();
    if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("label {:?} stands twice in one sample", twice[0].0));
    }
    let has = |name: &str| pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let mut builder = LabelsBuilder::default();
    let mut conflicts: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &pairs {
        if !honor && target.get(name).is_some() {
            if !value.is_empty() {
                conflicts.push((name, value));
            }
        } else {
            builder.push(name.as_str(), value.as_str());
        }
    }
    for (name, value) in target.iter().filter(|(name, _)| !honor || has(name).is_none()) {
        builder.push(name, value);
    }
    let mut labels = builder.build();
    // Shortest first, so that a sample's own `exported_job` makes way for none that its `job` becomes.
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut renamed = format!("{EXPORTED}{name}");
        while labels.get(&renamed).is_some() {
            renamed.insert_str(0, EXPORTED);
        }
        labels = labels.with(&renamed, value);
    }
    Ok(labels)
}

/// The labels of a series about the scrape itself.
pub(super) fn of_report(name: &str, target: &Labels) -> Labels {
    target.with(METRIC_NAME, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], honor: bool, expected: &str) {
        let target = Labels::from_pairs([("job", "j"), ("instance", "i:1")]);
        let pairs = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let got = of_sample(pairs, &target, honor).map_or_else(|error| error, |labels| labels.to_string());
        assert_eq!(got, expected);
    }

    #[test]
    fn conflicts_are_renamed_or_honoured() {
        check(&[("__name__", "a")], false, r#"a{instance="i:1",job="j"}"#);
        check(&[("__name__", "a"), ("job", "x")], false, r#"a{exported_job="x",instance="i:1",job="j"}"#);
        check(&[("__name__", "a"), ("job", "x")], true, r#"a{instance="i:1",job="x"}"#);
        check(&[("__name__", "a"), ("job", "")], false, r#"a{instance="i:1",job="j"}"#);
        check(&[("__name__", "a"), ("job", "")], true, r#"a{instance="i:1"}"#);
        check(
            &[("__name__", "a"), ("job", "x"), ("exported_job", "y")],
            false,
            r#"a{exported_exported_job="x",exported_job="y",instance="i:1",job="j"}"#,
        );
        check(&[("__name__", "a"), ("b", "1"), ("b", "2")], false, r#"label "b" stands twice in one sample"#);
        assert_eq!(of_report("up", &Labels::from_pairs([("job", "j")])).to_string(), r#"up{job="j"}"#);
    }
}
