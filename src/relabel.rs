//! Relabelling as Prometheus does it (`model/relabel/relabel.go`): steps that rewrite a label set, or drop what has it.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use model::Labels;
use regex::Regex;

use crate::config::{Action, Relabel};

/// Steps with their regexes compiled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relabeler(Vec<(Relabel, Regex)>);

impl Relabeler {
    pub(crate) fn new(steps: &[Relabel]) -> Result<Relabeler, String> {
        let compiled = |step: &Relabel| Ok((step.clone(), step.compiled()?));
        steps.iter().map(compiled).collect::<Result<_, String>>().map(Relabeler)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels after all steps in order; `None` when one dropped them. Empty values are absent labels.
    pub(crate) fn apply(&self, labels: &Labels) -> Option<Labels> {
        if self.0.is_empty() {
            return Some(labels.clone());
        }
        let mut set: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (step, regex) in &self.0 {
            if !applied(step, regex, &mut set) {
                return None;
            }
            set.retain(|_, value| !value.is_empty());
        }
        Some(Labels::from_pairs(set))
    }
}

/// One step; false when it drops.
fn applied(step: &Relabel, regex: &Regex, set: &mut BTreeMap<String, String>) -> bool {
    let of = |name: &str| set.get(name).map_or("", String::as_str);
    let sources: Vec<&str> = step.source_labels.iter().map(|name| of(name)).collect();
    let text = sources.join(&step.separator);
    match step.action {
        Action::Keep => return regex.is_match(&text),
        Action::Drop => return !regex.is_match(&text),
        Action::KeepEqual => return of(&step.target_label) == text,
        Action::DropEqual => return of(&step.target_label) != text,
        Action::HashMod => {
            // No modulus is refused with the configuration.
            let place = hash(&text).checked_rem(step.modulus).unwrap_or_default();
            set.insert(step.target_label.clone(), place.to_string());
        }
        Action::Lowercase => {
            set.insert(step.target_label.clone(), text.to_lowercase());
        }
        Action::Uppercase => {
            set.insert(step.target_label.clone(), text.to_uppercase());
        }
        Action::Replace => {
            if let Some(found) = regex.captures(&text) {
                let expanded = |template: &str| {
                    let mut out = String::new();
                    found.expand(template, &mut out);
                    out
                };
                let target = expanded(&step.target_label);
                if !target.is_empty() {
                    set.insert(target, expanded(&step.replacement));
                }
            }
        }
        Action::LabelMap => {
            let renamed = |(name, value): (&String, &String)| {
                let found = regex.captures(name)?;
                let mut to = String::new();
                found.expand(&step.replacement, &mut to);
                (!to.is_empty()).then(|| (to, value.clone()))
            };
            let renamed: Vec<(String, String)> = set.iter().filter_map(renamed).collect();
            set.extend(renamed);
        }
        Action::LabelDrop => set.retain(|name, _| !regex.is_match(name)),
        Action::LabelKeep => set.retain(|name, _| regex.is_match(name)),
    }
    true
}

/// The last eight bytes of the text's MD5, as Prometheus takes them: shards that several of both share agree.
fn hash(text: &str) -> u64 {
    let sum: [u8; 16] = Md5::digest(text.as_bytes()).into();
    let [.., a, b, c, d, e, f, g, h] = sum;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: &str, expected: Option<&str>) {
        let step: Relabel = toml::from_str(step).unwrap();
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "foo"), ("b", "bar"), ("c", "Baz"), ("d", "foo")]);
        let got = Relabeler::new(&[step]).unwrap().apply(&labels);
        assert_eq!(got.map(|labels| labels.to_string()).as_deref(), expected);
    }

    #[test]
    fn steps_rewrite_keep_and_drop() {
        let same = r#"m{a="foo",b="bar",c="Baz",d="foo"}"#;
        check(
            "source_labels = ['a']\nregex = 'f(.*)'\ntarget_label = 'e'\nreplacement = 'x${1}y'",
            Some(r#"m{a="foo",b="bar",c="Baz",d="foo",e="xooy"}"#),
        );
        check(
            "source_labels = ['a', 'b']\nregex = 'foo;(b).*'\ntarget_label = '$1'\nreplacement = '$1-'",
            Some(r#"m{a="foo",b="b-",c="Baz",d="foo"}"#),
        );
        check("source_labels = ['a']\nregex = 'fo'\ntarget_label = 'e'", Some(same));
        check("target_label = 'b'\nreplacement = ''", Some(r#"m{a="foo",c="Baz",d="foo"}"#));
        check("target_label = '__name__'\nreplacement = 'n'", Some(r#"n{a="foo",b="bar",c="Baz",d="foo"}"#));
        check("source_labels = ['a']\nregex = 'foo|x'\naction = 'keep'", Some(same));
        check("source_labels = ['a']\nregex = 'fo'\naction = 'keep'", None);
        check("source_labels = ['a', 'b']\nseparator = '-'\nregex = 'foo-b.*'\naction = 'drop'", None);
        check("source_labels = ['nothing']\nregex = 'x'\naction = 'drop'", Some(same));
        check("source_labels = ['a']\ntarget_label = 'd'\naction = 'keepequal'", Some(same));
        check("source_labels = ['a']\ntarget_label = 'b'\naction = 'keepequal'", None);
        check("source_labels = ['a']\ntarget_label = 'd'\naction = 'dropequal'", None);
        check(
            "source_labels = ['c']\ntarget_label = 'c'\naction = 'lowercase'",
            Some(r#"m{a="foo",b="bar",c="baz",d="foo"}"#),
        );
        check(
            "source_labels = ['b']\ntarget_label = 'b'\naction = 'uppercase'",
            Some(r#"m{a="foo",b="BAR",c="Baz",d="foo"}"#),
        );
        check(
            "regex = '([ab])'\nreplacement = 'x_$1'\naction = 'labelmap'",
            Some(r#"m{a="foo",b="bar",c="Baz",d="foo",x_a="foo",x_b="bar"}"#),
        );
        // Of the last eight bytes of the MD5 of "Baz;foo".
        check(
            "source_labels = ['c', 'd']\ntarget_label = 'd'\naction = 'hashmod'\nmodulus = 1000",
            Some(r#"m{a="foo",b="bar",c="Baz",d="953"}"#),
        );
        check("regex = '[ab]'\naction = 'labeldrop'", Some(r#"m{c="Baz",d="foo"}"#));
        check("regex = '__name__|a'\naction = 'labelkeep'", Some(r#"m{a="foo"}"#));
    }

    #[test]
    fn damaged_steps_are_refused_or_taken() {
        let good = [
            "source_labels = ['a', 'b']\nseparator = '-'\nregex = 'f(.*)-b.+'\ntarget_label = 'e_$1'\nreplacement = 'x${1}y'",
            "source_labels = ['c', 'd']\ntarget_label = 'd'\naction = 'hashmod'\nmodulus = 1000",
            "source_labels = ['a']\nregex = '(foo|x){2,3}'\ntarget_label = 'd'\naction = 'keep'",
            "source_labels = ['a']\ntarget_label = 'd'\naction = 'dropequal'",
        ];
        let signs = [
            "(", ")", "[", "{", "}", "*", "+", "?", "\\", "$", "${", "'", "\"", "=", "^", "|", ".", "\n", "-1", "é",
            "drop",
        ];
        let seed = chance::seed(20_261_126);
        let mut random = chance::Random::new(seed);
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "foo"), ("b", "bar"), ("c", "Baz"), ("d", "foo")]);
        let (mut used, mut refused) = (0, 0);
        for _ in 0..5_000 {
            let text = chance::damaged(random.pick(&good), &signs, &mut random);
            let began = std::time::Instant::now();
            let step = toml::from_str::<Relabel>(&text).map_err(|error| error.to_string());
            match step.and_then(|step| Relabeler::new(&[step])) {
                Err(reason) => {
                    refused += 1;
                    assert!(!reason.trim().is_empty(), "SEED={seed}: {text}");
                }
                // Refused with the configuration.
                Ok(Relabeler(steps)) if steps.iter().any(|(step, _)| step.target_label.is_empty()) => refused += 1,
                Ok(relabeler) => {
                    used += 1;
                    let after = relabeler.apply(&labels).unwrap_or_default();
                    let is_whole = after.iter().all(|(name, value)| !name.is_empty() && !value.is_empty());
                    assert!(is_whole, "SEED={seed}: {after} of\n{text}");
                }
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "SEED={seed}: {text}");
        }
        assert!(used > 500 && refused > 500, "nothing was tested: {used} used, {refused} refused");
    }
}
