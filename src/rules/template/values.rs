//! What a rule's template speaks of: label sets and samples.

use std::any::Any;

use model::Labels;
use template::{Object, Value};

/// Go's `map[string]string`: an absent label is an empty one.
#[derive(Debug, Clone)]
pub(super) struct LabelSet(pub(super) Labels);

impl Object for LabelSet {
    fn kind(&self) -> &'static str {
        "map[string]string"
    }

    fn show(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("map[{}]", pairs.join(" "))
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        Ok(self.0.value(name).into())
    }

    fn index(&self, key: &Value) -> Result<Value, String> {
        match key {
            Value::Text(name) => self.field(name),
            other => Err(format!("cannot index {} with type {}", self.kind(), template::kind(other))),
        }
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        Some(self.0.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// One element of a query's answer.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    /// A number, or the text of a histogram.
    pub(super) value: Value,
}

impl Object for Sample {
    fn kind(&self) -> &'static str {
        "sample"
    }

    fn show(&self) -> String {
        format!("{} {}", self.labels, template::shown(&self.value))
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "Labels" => Ok(Value::object(LabelSet(self.labels.clone()))),
            "Value" => Ok(self.value.clone()),
            other => Err(format!("can't evaluate field {other} in type {}", self.kind())),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The root of a run.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) labels: Value,
    pub(super) external_labels: Value,
    pub(super) external_url: String,
    pub(super) value: Value,
}

impl Object for Root {
    fn kind(&self) -> &'static str {
        "data"
    }

    fn show(&self) -> String {
        "{}".into()
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        Ok(match name {
            "Labels" => self.labels.clone(),
            "ExternalLabels" => self.external_labels.clone(),
            "ExternalURL" => self.external_url.clone().into(),
            "Value" => self.value.clone(),
            other => return Err(format!("can't evaluate field {other} in {}", self.kind())),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
