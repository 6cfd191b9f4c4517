//! What a notification template speaks of: `.Alerts`, `.GroupLabels`, `.CommonLabels` and so on.

use std::any::Any;
use std::collections::BTreeMap;

use model::alert::{AlertState, Instance, Intent, label_fingerprint};
use template::{GoTime, Object, Value};

use crate::config::Config;
use crate::message::generator_url;
use crate::reason;

/// The root.
#[derive(Debug, Clone)]
pub(super) struct Data {
    receiver: String,
    status: &'static str,
    alerts: Vec<Alert>,
    group_labels: Kv,
    common_labels: Kv,
    common_annotations: Kv,
    external_url: String,
    reason: &'static str,
}

/// Names and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Kv(pub(super) BTreeMap<String, String>);

#[derive(Debug, Clone)]
struct Pair(String, String);

#[derive(Debug, Clone)]
struct Pairs(Vec<(String, String)>);

#[derive(Debug, Clone)]
struct Alerts(Vec<Alert>);

#[derive(Debug, Clone)]
struct Alert {
    instance: Instance,
    generator_url: String,
}

impl Data {
    pub(super) fn of(intent: &Intent, channel: &str, config: &Config, external_url: &str) -> Data {
        let external_url = external_url.trim_end_matches('/');
        let receiver = config.channel(channel).map_or(channel, |(receiver, _)| receiver.name.as_str());
        let alerts: Vec<Alert> = intent
            .instances
            .iter()
            .map(|instance| Alert { generator_url: generator_url(external_url, instance), instance: instance.clone() })
            .collect();
        let firing = alerts.iter().any(|alert| alert.instance.state == AlertState::Firing);
        let group_labels = intent.instances.first().map(|first| {
            let targets = config.route.targets(&first.labels);
            let target = targets.iter().find(|target| target.receiver == receiver).or(targets.first());
            target.map(|target| kv(target.group_labels(&first.labels).iter())).unwrap_or_default()
        });
        let labels = |instance: &Instance| kv(instance.labels.iter());
        let annotations =
            |instance: &Instance| kv(instance.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        Data {
            receiver: receiver.into(),
            status: if firing { "firing" } else { "resolved" },
            group_labels: group_labels.unwrap_or_default(),
            common_labels: common(intent.instances.iter().map(labels)),
            common_annotations: common(intent.instances.iter().map(annotations)),
            alerts,
            external_url: external_url.into(),
            reason: reason::of(intent),
        }
    }
}

fn kv<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Kv {
    Kv(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What all have in common.
fn common(mut all: impl Iterator<Item = Kv>) -> Kv {
    let mut left = all.next().unwrap_or_default();
    for one in all {
        left.0.retain(|name, value| one.0.get(name) == Some(value));
    }
    left
}

impl Object for Data {
    fn kind(&self) -> &'static str {
        "*template.Data"
    }

    fn show(&self) -> String {
        format!("{} {}", self.receiver, self.status)
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        Ok(match name {
            "Receiver" => self.receiver.clone().into(),
            "Status" => self.status.into(),
            "Alerts" => Value::object(Alerts(self.alerts.clone())),
            "GroupLabels" => Value::object(self.group_labels.clone()),
            "CommonLabels" => Value::object(self.common_labels.clone()),
            "CommonAnnotations" => Value::object(self.common_annotations.clone()),
            "ExternalURL" => self.external_url.clone().into(),
            "NotificationReason" => self.reason.into(),
            "TruncatedAlerts" => Value::Int(0),
            _ => return Err(format!("can't evaluate field {name} in type *template.Data")),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Kv {
    /// By name, the alert's name first.
    fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = self.0.clone().into_iter().collect();
        pairs.sort_by_key(|(name, _)| (name != "alertname", name.clone()));
        pairs
    }
}

fn list(items: impl Iterator<Item = String>) -> Value {
    Value::List(items.map(Value::Text).collect())
}

fn pairs_text(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

impl Object for Kv {
    fn kind(&self) -> &'static str {
        "template.KV"
    }

    fn show(&self) -> String {
        pairs_text(&self.pairs())
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        Ok(match name {
            "SortedPairs" => Value::object(Pairs(self.pairs())),
            "Names" => list(self.pairs().into_iter().map(|(name, _)| name)),
            "Values" => list(self.pairs().into_iter().map(|(_, value)| value)),
            "String" => self.show().into(),
            // A label that does not exist is empty (`missingkey=zero`).
            name => self.0.get(name).cloned().unwrap_or_default().into(),
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            ("Remove", [Value::List(names)]) => {
                let is_named =
                    |name: &str| names.iter().any(|value| matches!(value, Value::Text(text) if text == name));
                let kept = self.0.iter().filter(|(name, _)| !is_named(name));
                Ok(Value::object(Kv(kept.map(|(name, value)| (name.clone(), value.clone())).collect())))
            }
            (_, []) => self.field(name),
            _ => Err(format!("wrong arguments for {name} of template.KV")),
        }
    }

    fn index(&self, key: &Value) -> Result<Value, String> {
        match key {
            Value::Text(name) => Ok(self.0.get(name).cloned().unwrap_or_default().into()),
            _ => Err("the key of template.KV is a text".into()),
        }
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        Some(self.0.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object for Pair {
    fn kind(&self) -> &'static str {
        "template.Pair"
    }

    fn show(&self) -> String {
        format!("{{{} {}}}", self.0, self.1)
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "Name" => Ok(self.0.clone().into()),
            "Value" => Ok(self.1.clone().into()),
            _ => Err(format!("can't evaluate field {name} in type template.Pair")),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object for Pairs {
    fn kind(&self) -> &'static str {
        "template.Pairs"
    }

    fn show(&self) -> String {
        pairs_text(&self.0)
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "Names" => Ok(list(self.0.iter().map(|(name, _)| name.clone()))),
            "Values" => Ok(list(self.0.iter().map(|(_, value)| value.clone()))),
            "String" => Ok(self.show().into()),
            _ => Err(format!("can't evaluate field {name} in type template.Pairs")),
        }
    }

    fn index(&self, key: &Value) -> Result<Value, String> {
        at(key, &self.0).map(|(name, value)| Value::object(Pair(name.clone(), value.clone())))
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        Some(numbered(self.0.iter().map(|(name, value)| Value::object(Pair(name.clone(), value.clone())))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn at<'a, T>(key: &Value, items: &'a [T]) -> Result<&'a T, String> {
    let place = match key {
        Value::Int(at) => usize::try_from(*at).ok(),
        _ => None,
    };
    place.and_then(|at| items.get(at)).ok_or_else(|| "index out of range".into())
}

fn numbered(items: impl Iterator<Item = Value>) -> Vec<(Value, Value)> {
    (0..).map(Value::Int).zip(items).collect()
}

impl Object for Alerts {
    fn kind(&self) -> &'static str {
        "template.Alerts"
    }

    fn show(&self) -> String {
        format!("{} alerts", self.0.len())
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let firing = match name {
            "Firing" => true,
            "Resolved" => false,
            _ => return Err(format!("can't evaluate field {name} in type template.Alerts")),
        };
        let kept = self.0.iter().filter(|alert| (alert.instance.state == AlertState::Firing) == firing);
        Ok(Value::object(Alerts(kept.cloned().collect())))
    }

    fn index(&self, key: &Value) -> Result<Value, String> {
        at(key, &self.0).map(|alert| Value::object(alert.clone()))
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        Some(numbered(self.0.iter().map(|alert| Value::object(alert.clone()))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object for Alert {
    fn kind(&self) -> &'static str {
        "template.Alert"
    }

    fn show(&self) -> String {
        self.instance.labels.to_string()
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let instance = &self.instance;
        let firing = instance.state == AlertState::Firing;
        Ok(match name {
            "Status" => if firing { "firing" } else { "resolved" }.into(),
            "Labels" => Value::object(kv(instance.labels.iter())),
            "Annotations" => {
                Value::object(kv(instance.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
            }
            "StartsAt" => Value::object(GoTime::of_ms(Some(instance.began_ms()))),
            "EndsAt" => Value::object(GoTime::of_ms(instance.resolved_at_ms.filter(|_| !firing))),
            "GeneratorURL" => self.generator_url.clone().into(),
            "Fingerprint" => label_fingerprint(&instance.labels).into(),
            _ => return Err(format!("can't evaluate field {name} in type template.Alert")),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
