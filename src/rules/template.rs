//! Templates of labels and annotations: Go's `text/template` with Prometheus' functions.
//!
//! A template's cost is bounded whatever it says: output, steps, nesting and queries have limits. A label that does not exist
//! is empty. Numbers are printed as Go prints them.

mod functions;
mod values;

use model::Labels;
use query::promql::histogram_text;
use query::promql::notation::Value as Point;
use template::{Language, Set, Value};

pub use template::{OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX, TemplateError};

use values::{LabelSet, Root, Sample};

/// Most queries of one expansion.
const QUERIES_MAX: usize = 20;
/// Set before every rule's template, as Prometheus does.
const VARIABLES: [&str; 4] = ["labels", "externalLabels", "externalURL", "value"];

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template(template::Template);

/// What a template speaks of: `.Labels`, `.Value` and so on, and the variables `$labels`, `$value`.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    pub labels: &'a Labels,
    /// A histogram is its text.
    pub value: &'a Point,
    pub external_labels: &'a Labels,
    pub external_url: &'a str,
}

/// Answers `query "…"` at the slot's time: the vector, or the error in words.
pub type Query<'a> = dyn FnMut(&str) -> Result<Vec<(Labels, Point)>, String> + 'a;

impl Template {
    /// Parses and checks that every function and variable exists.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let language = Language { functions: &functions::exists, variables: &VARIABLES, strict: false };
        template::Template::parse(text, &language, &Set::default()).map(Template)
    }

    pub fn expand(&self, data: &Data<'_>, query: &mut Query<'_>) -> Result<String, TemplateError> {
        let value = value_of(data.value);
        let root = Root {
            labels: Value::object(LabelSet(data.labels.clone())),
            external_labels: Value::object(LabelSet(data.external_labels.clone())),
            external_url: data.external_url.into(),
            value: value.clone(),
        };
        let variables = vec![
            ("labels", root.labels.clone()),
            ("externalLabels", root.external_labels.clone()),
            ("externalURL", data.external_url.into()),
            ("value", value),
        ];
        let mut queries = 0;
        let mut answer = |name: &str, arguments: &[Value]| match (name, arguments) {
            ("query", [Value::Text(text)]) => {
                queries += 1;
                if queries > QUERIES_MAX {
                    return Err(format!("a template may ask {QUERIES_MAX} queries"));
                }
                let sample = |(labels, point)| Value::object(Sample { labels, value: value_of(&point) });
                query(text).map(|answer| Value::List(answer.into_iter().map(sample).collect()))
            }
            ("externalURL", []) => Ok(data.external_url.into()),
            ("pathPrefix", []) => Ok(path(data.external_url).into()),
            _ => functions::call(name, arguments),
        };
        let mut functions = |name: &str, arguments: &[Value]| answer(name, arguments).map_err(Into::into);
        self.0.run(&root, variables, &mut functions)
    }

    /// As [`Template::expand`], with the error as the text: an alert with a broken annotation is better than none.
    pub fn expand_or_error(&self, data: &Data<'_>, query: &mut Query<'_>) -> String {
        self.expand(data, query).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}

fn value_of(point: &Point) -> Value {
    match point {
        Point::Float(value) => Value::Float(*value),
        Point::Histogram(histogram) => histogram_text(histogram).into(),
    }
}

/// The path of a URL, without its trailing slash.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests;
