//! Runs a parsed template.

use super::parse::{Node, Operand, Pipeline};
use super::{
    DEPTH_MAX, Data, OUTPUT_BYTES_MAX, QUERIES_MAX, Query, STEPS_MAX, Template, TemplateError, Value, functions, printf,
};

pub(super) fn run(template: &Template, data: &Data<'_>, query: &mut Query<'_>) -> Result<String, TemplateError> {
    let variables = vec![
        (String::new(), Value::Data),
        ("labels".into(), Value::Labels(data.labels.clone())),
        ("externalLabels".into(), Value::Labels(data.external_labels.clone())),
        ("externalURL".into(), Value::Text(data.external_url.into())),
        ("value".into(), Value::Float(data.value)),
    ];
    let mut run = Run { template, data, query, variables, out: String::new(), steps: 0, depth: 0, queries: 0 };
    run.nodes(&template.body, &Value::Data)?;
    Ok(run.out)
}

struct Run<'a> {
    template: &'a Template,
    data: &'a Data<'a>,
    query: &'a mut Query<'a>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    depth: usize,
    queries: usize,
}

/// Whether a loop goes on.
enum Flow {
    On,
    Break,
    Continue,
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if !matches!(flow, Flow::On) {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        self.step(0)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Show(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variable.is_none() {
                    self.write(&printf::shown(&value))?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let holds = truth(&self.pipeline(condition, dot)?);
                let flow = self.nodes(if holds { then } else { otherwise }, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::With { subject, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(subject, dot)?;
                let flow = if truth(&value) { self.nodes(then, &value)? } else { self.nodes(otherwise, dot)? };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { key, item, over, body, otherwise } => {
                let scope = self.variables.len();
                let over_value = self.pipeline(over, dot)?;
                let items = items(over_value).map_err(|reason| TemplateError { line: over.line, reason })?;
                if items.is_empty() {
                    return self.nodes(otherwise, dot);
                }
                for (at, value) in items {
                    self.step(over.line)?;
                    self.variables.truncate(scope);
                    if let Some(name) = key {
                        self.variables.push((name.clone(), at));
                    }
                    if let Some(name) = item {
                        self.variables.push((name.clone(), value.clone()));
                    }
                    if let Flow::Break = self.nodes(body, &value)? {
                        break;
                    }
                }
                self.variables.truncate(scope);
            }
            Node::Call { name, data, line } => {
                let dot = match data {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Nil,
                };
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let reason = format!("templates call each other deeper than {DEPTH_MAX}");
                    return Err(TemplateError { line: *line, reason });
                }
                let body = self.template.defined.get(name).expect("parsing checks that called templates are defined");
                let outer = std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())]);
                self.nodes(body, &dot)?;
                self.variables = outer;
                self.depth -= 1;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        self.step(pipeline.line)?;
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value, pipeline.line)?);
        }
        let value = value.expect("parsing leaves no pipeline without a command");
        match &pipeline.variable {
            Some((name, true)) => self.variables.push((name.clone(), value.clone())),
            Some((name, false)) => {
                if let Some((_, slot)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                    *slot = value.clone();
                }
            }
            None => {}
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &[Operand],
        dot: &Value,
        piped: Option<Value>,
        line: usize,
    ) -> Result<Value, TemplateError> {
        let Operand::Function(name) = &command[0] else {
            return self.operand(&command[0], dot, line);
        };
        if name == "and" || name == "or" {
            return self.shortcut(name == "or", &command[1..], dot, piped, line);
        }
        let mut arguments = Vec::with_capacity(command.len());
        for operand in &command[1..] {
            arguments.push(self.operand(operand, dot, line)?);
        }
        arguments.extend(piped);
        self.call(name, arguments, line)
    }

    /// `and` and `or` evaluate no further than needed; their value is the last one evaluated.
    fn shortcut(
        &mut self,
        stop_at: bool,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
        line: usize,
    ) -> Result<Value, TemplateError> {
        let mut value = None;
        for operand in operands {
            let next = self.operand(operand, dot, line)?;
            if truth(&next) == stop_at {
                return Ok(next);
            }
            value = Some(next);
        }
        let reason = "and, or need at least one argument";
        piped.or(value).ok_or_else(|| TemplateError { line, reason: reason.into() })
    }

    fn call(&mut self, name: &str, arguments: Vec<Value>, line: usize) -> Result<Value, TemplateError> {
        let failed = |reason: String| TemplateError { line, reason: format!("error calling {name}: {reason}") };
        match (name, arguments.as_slice()) {
            ("query", [Value::Text(text)]) => {
                self.queries += 1;
                if self.queries > QUERIES_MAX {
                    return Err(failed(format!("a template may ask {QUERIES_MAX} queries")));
                }
                (self.query)(text).map(Value::Samples).map_err(failed)
            }
            ("externalURL", []) => Ok(Value::Text(self.data.external_url.into())),
            ("pathPrefix", []) => Ok(Value::Text(path(self.data.external_url).into())),
            _ => functions::call(name, arguments).map_err(failed),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value, line: usize) -> Result<Value, TemplateError> {
        self.step(line)?;
        Ok(match operand {
            Operand::Nil => Value::Nil,
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Integer(value) => Value::Int(*value),
            Operand::Float(value) => Value::Float(*value),
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Dot => dot.clone(),
            Operand::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| TemplateError { line, reason: format!("undefined variable \"${name}\"") })?
            }
            Operand::Function(name) => self.call(name, Vec::new(), line)?,
            Operand::Inner(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Fields(of, names) => {
                let mut value = self.operand(of, dot, line)?;
                for name in names {
                    value = self.field(value, name).map_err(|reason| TemplateError { line, reason })?;
                }
                value
            }
        })
    }

    fn field(&self, of: Value, name: &str) -> Result<Value, String> {
        Ok(match (of, name) {
            (Value::Data, "Labels") => Value::Labels(self.data.labels.clone()),
            (Value::Data, "ExternalLabels") => Value::Labels(self.data.external_labels.clone()),
            (Value::Data, "ExternalURL") => Value::Text(self.data.external_url.into()),
            (Value::Data, "Value") => Value::Float(self.data.value),
            (Value::Sample(labels, _), "Labels") => Value::Labels(labels),
            (Value::Sample(_, value), "Value") => Value::Float(value),
            // An absent label is an empty one.
            (Value::Labels(labels), name) => Value::Text(labels.value(name).into()),
            (Value::Map(map), name) => map.get(name).cloned().unwrap_or(Value::Nil),
            (of, name) => return Err(format!("can't evaluate field {name} in {}", printf::kind(&of))),
        })
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            let reason = format!("the output is longer than {OUTPUT_BYTES_MAX} bytes");
            return Err(TemplateError { line: 1, reason });
        }
        self.out.push_str(text);
        Ok(())
    }

    fn step(&mut self, line: usize) -> Result<(), TemplateError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let reason = format!("the template takes more than {STEPS_MAX} steps");
            return Err(TemplateError { line: line.max(1), reason });
        }
        Ok(())
    }
}

/// Go's truth: not zero, not empty.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::Labels(labels) => !labels.is_empty(),
        Value::Samples(samples) => !samples.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Sample(..) | Value::Data => true,
    }
}

/// What `range` walks over: index or key, and item.
fn items(value: Value) -> Result<Vec<(Value, Value)>, String> {
    let text = |text: &str| Value::Text(text.into());
    let index = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
    Ok(match value {
        Value::Nil => Vec::new(),
        Value::Samples(samples) => {
            let items = samples.into_iter().enumerate();
            items.map(|(at, (labels, value))| (index(at), Value::Sample(labels, value))).collect()
        }
        Value::Labels(labels) => labels.iter().map(|(name, value)| (text(name), text(value))).collect(),
        Value::Map(map) => map.into_iter().map(|(name, value)| (Value::Text(name), value)).collect(),
        Value::Int(count) if count <= 0 => Vec::new(),
        Value::Int(count) if count <= STEPS_MAX as i64 => {
            (0..count).map(|at| (Value::Int(at), Value::Int(at))).collect()
        }
        other => return Err(format!("range can't iterate over {}", printf::kind(&other))),
    })
}

/// The path of a URL, without its trailing slash.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}
