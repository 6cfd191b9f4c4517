//! Names of labels, as Loki makes them of attribute keys.
//!
//! Source: `NormalizeLabel` of prometheus/otlptranslator as Loki 3.7 calls it, observed over its API.

/// Stream labels that `service_name` comes from when no label has that name (Loki's `discover_service_name`).
pub const SERVICE_LABELS: [&str; 13] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

pub(crate) const SERVICE_NAME: &str = "service_name";
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";
pub(crate) const DETECTED_LEVEL: &str = "detected_level";

/// Each run of characters outside `[A-Za-z0-9]` becomes one `_`; a leading digit gets `key_`; `__x__` keeps its frame.
pub(crate) fn label_name(key: &str) -> String {
    let framed = key.len() > 4 && key.starts_with("__") && key.ends_with("__");
    let inner = if framed { key.trim_matches('_') } else { key };
    let mut out = String::with_capacity(key.len() + 4);
    if framed && !inner.is_empty() {
        out.push_str("__");
    }
    for c in inner.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    if framed && !inner.is_empty() {
        out.truncate(out.trim_end_matches('_').len());
        out.push_str("__");
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "key_");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels() {
        for (key, expected) in [
            ("service.name", "service_name"),
            ("a..b__c", "a_b_c"),
            ("a:b", "a_b"),
            ("_priv", "_priv"),
            ("__priv", "_priv"),
            ("__x__", "__x__"),
            ("__a..b__", "__a_b__"),
            ("7days", "key_7days"),
            ("http.status-code ", "http_status_code_"),
            ("größe", "gr_e"),
            ("日本", "_"),
        ] {
            assert_eq!(label_name(key), expected, "{key}");
        }
    }
}
