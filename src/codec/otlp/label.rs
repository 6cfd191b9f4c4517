//! Attributes to labels. Runs only for series that the store has not seen; whatever it answers depends on
//! the request and the settings alone.
//!
//! Rules: OpenTelemetry, compatibility/prometheus_and_openmetrics; where it leaves a choice, Prometheus' own.

use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::log::{Attributes, attribute};
use model::{Key, Labels, LabelsBuilder, Reason, Scope};

use super::{MetricsSettings, Promote, Translation, name};

/// Attributes that name the target and become `job` and `instance`.
const IDENTIFYING: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// Longest piece of a sender's text in a message of ours.
const SHOWN_BYTES_MAX: usize = 120;

/// Why a point is refused.
pub(crate) type Refusal = (Reason, String);

pub(crate) type Pair = (Arc<str>, Arc<str>);

/// What a resource gives to each of its series.
#[derive(Debug, Clone)]
pub(crate) struct ResourceLabels {
    promoted: Vec<Pair>,
    /// `job` and `instance`, as far as the resource says them.
    target: Vec<Pair>,
}

impl ResourceLabels {
    pub(crate) fn new(settings: &MetricsSettings, attributes: &Attributes) -> Result<ResourceLabels, Refusal> {
        let wanted = |key: &str| {
            let promoted = match &settings.promote {
                Promote::All => true,
                Promote::None => false,
                Promote::List(keys) => keys.iter().any(|wanted| wanted == key),
            };
            promoted && !settings.ignore.iter().any(|pattern| fits(pattern, key))
        };
        let promoted = translated(settings.translation, attributes, wanted).map_err(|reason| {
            (
                Reason::BadName,
                format!("resource: {reason}; rename it, or list it in metrics.ignore_resource_attributes"),
            )
        })?;
        // Told once and not point by point, each of which would gather them all again.
        let count = promoted.iter().filter(|(_, value)| !value.is_empty()).count();
        if count > settings.labels_max {
            let max = settings.labels_max;
            return Err((
                Reason::LabelLimit,
                format!(
                    "{count} labels from the resource alone, the limit is {max} (limits.labels); promote fewer attributes"
                ),
            ));
        }
        Ok(ResourceLabels { promoted, target: target(attributes) })
    }
}

/// Whether a pattern of `metrics.ignore_resource_attributes` fits: exact, or with `*` at one end.
fn fits(pattern: &str, key: &str) -> bool {
    if let Some(prefix) = pattern.strip_suffix('*') {
        key.starts_with(prefix)
    } else if let Some(suffix) = pattern.strip_prefix('*') {
        key.ends_with(suffix)
    } else {
        pattern == key
    }
}

fn target(attributes: &Attributes) -> Vec<Pair> {
    let text = |key| attribute(attributes, key).map(|value| value.to_text()).filter(|text| !text.is_empty());
    let mut out: Vec<Pair> = Vec::new();
    if let Some(name) = text("service.name") {
        let job = match text("service.namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        out.push(("job".into(), job.into()));
    }
    if let Some(instance) = text("service.instance.id") {
        out.push(("instance".into(), instance.into()));
    }
    out
}

/// What a scope gives to each of its series when `metrics.promote_scope_metadata` is on (OpenTelemetry, Prometheus compatibility,
/// "Instrumentation Scope").
pub(crate) fn scope_labels(settings: &MetricsSettings, scope: &Scope, schema_url: &str) -> Result<Vec<Pair>, Refusal> {
    const OWN: [&str; 3] = ["name", "version", "schema_url"];
    let prefixed: Attributes = scope
        .attributes
        .iter()
        .filter(|(key, _)| !OWN.contains(&&**key))
        .map(|(key, value)| (Key::from(format!("otel_scope_{key}")), value.clone()))
        .collect();
    let mut labels = translated(settings.translation, &prefixed, |_| true)
        .map_err(|reason| (Reason::BadName, format!("scope: {reason}")))?;
    // After the attributes, so that none of them passes for one of these.
    for (name, value) in OWN.into_iter().zip([scope.name.as_str(), &scope.version, schema_url]) {
        labels.push((format!("otel_scope_{name}").into(), value.into()));
    }
    Ok(labels)
}

/// The labels of a point's plain series, `__name__` being the family; a series of a histogram or summary adds to them.
/// `extra` tells whether one more label and a suffix of the name will come.
pub(crate) fn point_labels(
    settings: &MetricsSettings,
    family: &str,
    resource: &ResourceLabels,
    scope: &[Pair],
    attributes: &Attributes,
    extra: bool,
) -> Result<Labels, Refusal> {
    let own = translated(settings.translation, attributes, |_| true).map_err(|reason| (Reason::BadName, reason))?;
    let mut builder = LabelsBuilder::default();
    // Of equal names the last one pushed wins: the point's over the resource's, the scope's over both, the target's over all.
    for (name, value) in resource.promoted.iter().chain(&own).chain(scope).chain(&resource.target) {
        builder.push(name.clone(), value.clone());
    }
    builder.push(METRIC_NAME, family);
    let labels = builder.build();
    check_limits(settings, &labels, extra)?;
    Ok(labels)
}

/// Whether a label set is within the limits; else why not, naming the limit's setting. `extra` tells whether one more label and a suffix
/// of the name will come.
pub fn check_limits(settings: &MetricsSettings, labels: &Labels, extra: bool) -> Result<(), Refusal> {
    let count = labels.len() + usize::from(extra);
    if count > settings.labels_max {
        return Err((
            Reason::LabelLimit,
            format!("{count} labels, the limit is {} (limits.labels)", settings.labels_max),
        ));
    }
    for (name, value) in labels.iter() {
        let suffix = if extra && name == METRIC_NAME { "_bucket".len() } else { 0 };
        let (what, bytes, max, setting) = if name.len() > settings.label_name_bytes_max {
            ("name", name.len(), settings.label_name_bytes_max, "limits.label_name_bytes")
        } else if value.len() + suffix > settings.label_value_bytes_max {
            ("value", value.len() + suffix, settings.label_value_bytes_max, "limits.label_value_bytes")
        } else {
            continue;
        };
        let message = format!("{what} of label {:?} has {bytes} bytes, the limit is {max} ({setting})", shown(name));
        return Err((Reason::LabelLimit, message));
    }
    Ok(())
}

/// `target_info` of a resource, `None` when it has no target or nothing to tell of it. The second number counts the
/// attributes that could not become a label: this series is derived, so none of the sender's rows is refused for it.
pub(crate) fn target_info(settings: &MetricsSettings, attributes: &Attributes) -> (Option<Labels>, u64) {
    let target = target(attributes);
    let mut left_out = 0;
    let mut identifies_only = true;
    let mut usable = Attributes::new();
    for (key, value) in attributes {
        if IDENTIFYING.contains(&&**key) && !settings.keep_identifying {
            continue;
        }
        identifies_only &= IDENTIFYING.contains(&&**key);
        match name::label_name(settings.translation, key) {
            Ok(name) if name.len() <= settings.label_name_bytes_max => usable.push((key.clone(), value.clone())),
            _ => left_out += 1,
        }
    }
    let Ok(mut told) = translated(settings.translation, &usable, |_| true) else {
        unreachable!("keys without a label name were left out above")
    };
    let before = told.len();
    told.retain(|(_, value)| value.len() <= settings.label_value_bytes_max);
    // Three are the name, the job and the instance.
    told.truncate(settings.labels_max.saturating_sub(3));
    left_out += (before - told.len()) as u64;
    told.retain(|(_, value)| !value.is_empty());
    if target.is_empty() || told.is_empty() || identifies_only {
        return (None, left_out);
    }
    let mut builder = LabelsBuilder::default();
    for (name, value) in told.into_iter().chain(target) {
        builder.push(name, value);
    }
    builder.push(METRIC_NAME, "target_info");
    (Some(builder.build()), left_out)
}

/// Label names and values of the wanted attributes. Keys that become one name have their values joined by `;` in the
/// order of the keys; `__name__` is reserved.
fn translated(
    strategy: Translation,
    attributes: &Attributes,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Pair>, String> {
    let mut named: Vec<(Arc<str>, &Key, usize)> = Vec::with_capacity(attributes.len());
    for (at, (key, _)) in attributes.iter().enumerate() {
        if !wanted(key) {
            continue;
        }
        let name = name::label_name(strategy, key)?;
        if name == METRIC_NAME {
            continue;
        }
        // Most keys need no change to be names: then the text is shared.
        let name = if *name == **key { key.clone() } else { name.into() };
        named.push((name, key, at));
    }
    named.sort_unstable();
    let mut out: Vec<Pair> = Vec::with_capacity(named.len());
    for (index, (name, key, at)) in named.iter().enumerate() {
        // Of two values of the same key the last one sent counts, and it stands last here.
        if named.get(index + 1).is_some_and(|(_, next, _)| next == key) {
            continue;
        }
        let text = attributes[*at].1.to_text();
        match out.last_mut() {
            Some((last, joined)) if last == name => *joined = format!("{joined};{text}").into(),
            _ => out.push((name.clone(), text.into())),
        }
    }
    Ok(out)
}

/// A sender's text as a message may quote it.
pub(crate) fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::AnyValue;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(key, value)| (Key::from(*key), AnyValue::Str((*value).into()))).collect()
    }

    fn settings() -> MetricsSettings {
        MetricsSettings {
            promote: Promote::All,
            ignore: vec!["process.*".into(), "*.uid".into(), "host.arch".into()],
            translation: Translation::UnderscoreEscapingWithSuffixes,
            delta: super::super::Delta::Cumulative,
            promote_scope: false,
            keep_identifying: false,
            labels_max: 8,
            label_name_bytes_max: 20,
            label_value_bytes_max: 30,
        }
    }

    #[track_caller]
    fn check(resource: &[(&str, &str)], point: &[(&str, &str)], expected: &str) {
        let settings = settings();
        let got = ResourceLabels::new(&settings, &attributes(resource))
            .and_then(|resource| point_labels(&settings, "m", &resource, &[], &attributes(point), false));
        let got = match got {
            Ok(labels) => labels.to_string(),
            Err((reason, message)) => format!("{}: {message}", reason.as_str()),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn attributes_become_labels() {
        check(&[], &[], "m");
        check(
            &[("service.name", "api"), ("service.namespace", "shop"), ("service.instance.id", "i1")],
            &[("job", "x"), ("instance", "y")],
            r#"m{instance="i1",job="shop/api",service_instance_id="i1",service_name="api",service_namespace="shop"}"#,
        );
        check(&[("service.namespace", "shop")], &[("job", "x")], r#"m{job="x",service_namespace="shop"}"#);
        check(&[("a.b", "resource"), ("c", "r")], &[("a_b", "point"), ("c", "")], r#"m{a_b="point"}"#);
        check(
            &[("process.pid", "1"), ("k8s.pod.uid", "u"), ("host.arch", "x"), ("host.a", "y")],
            &[],
            r#"m{host_a="y"}"#,
        );
        check(&[], &[("b_c", "3"), ("b.c", "1"), ("b-c", "2")], r#"m{b_c="2;1;3"}"#);
        check(&[], &[("a", "1"), ("a", "2")], r#"m{a="2"}"#);
        check(&[], &[("__name__", "evil"), ("__x__", "kept")], r#"m{__x__="kept"}"#);
        check(&[], &[("", "1")], r#"bad_name: attribute key "" has no character to keep in a label name"#);
        check(
            &[("ä", "1")],
            &[],
            r#"bad_name: resource: attribute key "ä" has no character to keep in a label name; rename it, or list it in metrics.ignore_resource_attributes"#,
        );
        check(
            &[],
            &[("a", "0123456789012345678901234567890")],
            r#"label_limit: value of label "a" has 31 bytes, the limit is 30 (limits.label_value_bytes)"#,
        );
        check(
            &[],
            &[("a23456789012345678901", "0")],
            r#"label_limit: name of label "a23456789012345678901" has 21 bytes, the limit is 20 (limits.label_name_bytes)"#,
        );
        let many: Vec<(String, String)> = (0..8).map(|n| (format!("l{n}"), "x".into())).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        check(&[], &many, "label_limit: 9 labels, the limit is 8 (limits.labels)");
    }

    #[test]
    fn target_info_tells_what_identifies_nothing() {
        let run = |pairs: &[(&str, &str)]| {
            let (labels, left_out) = target_info(&settings(), &attributes(pairs));
            (labels.map(|labels| labels.to_string()), left_out)
        };
        assert_eq!(
            run(&[("service.name", "api"), ("process.pid", "7"), ("ä", "x")]),
            (Some(r#"target_info{job="api",process_pid="7"}"#.into()), 1)
        );
        assert_eq!(run(&[("service.name", "api")]), (None, 0));
        assert_eq!(run(&[("process.pid", "7")]), (None, 0));
    }
}
