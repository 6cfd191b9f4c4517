//! The packs of `/alerts`, built into the binary.

/// Name and text of each built-in rule file.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &[
        ("alerts/collector.yml", include_str!("../../alerts/collector.yml")),
        ("alerts/heartbeat.yml", include_str!("../../alerts/heartbeat.yml")),
        ("alerts/host.yml", include_str!("../../alerts/host.yml")),
        ("alerts/logs.yml", include_str!("../../alerts/logs.yml")),
        ("alerts/scrape.yml", include_str!("../../alerts/scrape.yml")),
        ("alerts/self.yml", include_str!("../../alerts/self.yml")),
        ("alerts/service.yml", include_str!("../../alerts/service.yml")),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::RuleKind;

    /// Each pack has its test beside it, and no alert is without a case in which it fires.
    #[test]
    fn packs_pass_their_tests() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../alerts");
        let mut on_disk = 0;
        for entry in std::fs::read_dir(&dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            on_disk += usize::from(name.ends_with(".yml") && !name.ends_with(".test.yml"));
        }
        assert_eq!(on_disk, builtin().len(), "a pack is not built in");
        for (name, text) in builtin() {
            let groups = crate::file::parse(text, name, 30_000).unwrap_or_else(|error| panic!("{error}"));
            let test = name.trim_start_matches("alerts/").replace(".yml", ".test.yml");
            let test = std::fs::read_to_string(dir.join(test)).unwrap();
            let failures = crate::test_runner::run(&test, &dir, &|_, _, _| Err("these tests tell nobody".into()))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let messages: Vec<String> = failures.iter().map(|f| format!("{}: {}", f.test, f.message)).collect();
            assert!(messages.is_empty(), "{name}:\n{}", messages.join("\n"));
            let rules = groups.iter().flat_map(|group| &group.rules);
            let alerts: HashSet<&str> = rules
                .filter(|rule| matches!(rule.kind, RuleKind::Alerting { .. }))
                .map(|rule| rule.name.as_str())
                .collect();
            for alert in alerts {
                let fires = format!("alertname: {alert}\n    exp_alerts:\n    -");
                assert!(test.contains(&fires), "{name}: no test in which {alert} fires");
            }
        }
    }
}
