//! Alertmanager's templates: what `title`, `text`, `description` and their like say, from the alerts of a message.
//!
//! The data and the functions are those of Alertmanager's `template/template.go`. A template that fails never stops a message: the
//! field keeps our own words, and the error is logged and shown with the channel.

mod channel;
mod data;
mod functions;
mod payload;

use std::path::Path;

use template::{Language, Set, Template, Value};

use crate::config::Channel;

pub(crate) use channel::{rendered, said};

use channel::texts;
use data::Data;

/// Named templates that files may call without defining them, as Alertmanager has them.
const DEFAULTS: &str = include_str!("words/default.tmpl");
/// Most template files of one configuration.
const FILES_MAX: usize = 100;

const LANGUAGE: Language<'static> = Language { functions: &functions::exists, variables: &[], strict: false };

/// The named templates of a configuration: ours, and those of its files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    set: Set,
}

impl Words {
    /// Reads the files that these patterns name (`*` in the last part). A file that cannot be used is left out and named in the
    /// second value.
    pub(crate) fn read(patterns: &[String], dir: &Path) -> (Words, Vec<String>) {
        let mut problems = Vec::new();
        let mut texts: Vec<(String, String)> = Vec::new();
        for pattern in patterns {
            for path in matching(&dir.join(pattern)) {
                let name = path.display().to_string();
                if texts.len() >= FILES_MAX {
                    problems.push(format!("{name}: not used, {FILES_MAX} template files are read"));
                    continue;
                }
                match std::fs::read_to_string(&path) {
                    Ok(text) => texts.push((name, text)),
                    Err(error) => problems.push(format!("{name}: not used: {error}")),
                }
            }
        }
        loop {
            let all: Vec<&str> = std::iter::once(DEFAULTS).chain(texts.iter().map(|(_, text)| text.as_str())).collect();
            match Set::parse(&all, &LANGUAGE) {
                Ok(set) => return (Words { set }, problems),
                // Without the bad one: the others are still good.
                Err((at, error)) if at > 0 => {
                    let (name, _) = texts.remove(at - 1);
                    problems.push(format!("{name}: not used: {error}"));
                }
                Err((_, error)) => {
                    problems.push(format!("built-in templates: {error}"));
                    return (Words::default(), problems);
                }
            }
        }
    }

    /// What is wrong with a channel's templates, a line each.
    pub(crate) fn problems(&self, channel: &Channel) -> Vec<String> {
        let texts = texts(&channel.kind);
        let parsed = texts.into_iter().filter_map(|text| Template::parse(text, &LANGUAGE, &self.set).err());
        parsed.map(|error| format!("{}: {error}; our own words are sent in its place", channel.name)).collect()
    }

    fn render(&self, text: &str, data: &Data, now_ms: i64) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.into());
        }
        let template = Template::parse(text, &LANGUAGE, &self.set).map_err(|error| error.to_string())?;
        let mut functions =
            |name: &str, arguments: &[Value]| functions::call(name, arguments, now_ms).map_err(Into::into);
        template.run(data, Vec::new(), &mut functions).map_err(|error| error.to_string())
    }
}

/// Files that a pattern names, sorted. A pattern without a star names itself.
fn matching(pattern: &Path) -> Vec<std::path::PathBuf> {
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(folder) = pattern.parent().filter(|_| name.contains('*')) else { return vec![pattern.to_path_buf()] };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let parts: Vec<&str> = name.split('*').collect();
    let mut found: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .filter(|path| path.file_name().is_some_and(|name| has_parts(&name.to_string_lossy(), &parts)))
        .collect();
    found.sort();
    found
}

/// Whether a name is these parts with anything between them.
fn has_parts(name: &str, parts: &[&str]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests;
