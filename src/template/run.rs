//! Runs a parsed template.

use crate::parse::{Node, Operand, Pipeline};
use crate::{
    CallError, DEPTH_MAX, Functions, OUTPUT_BYTES_MAX, Object, STEPS_MAX, Template, TemplateError, Value, builtin,
    kind, shown, truth,
};

pub(crate) fn run(
    template: &Template,
    root: &dyn Object,
    variables: Vec<(&str, Value)>,
    functions: &mut Functions<'_>,
) -> Result<String, TemplateError> {
    let set = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    let variables = std::iter::once((String::new(), Value::Root)).chain(set).collect();
    let mut run = Run { template, root, functions, variables, out: String::new(), steps: 0, depth: 0 };
    run.nodes(&template.body, &Value::Root)?;
    Ok(run.out)
}

struct Run<'a, 'f> {
    template: &'a Template,
    root: &'a dyn Object,
    functions: &'a mut Functions<'f>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    depth: usize,
}

/// In Go's words.
fn failed(name: &str, arguments: &[Value], line: usize, error: CallError) -> TemplateError {
    match error {
        CallError::Failed(reason) => TemplateError::new(line, format!("error calling {name}: {reason}")),
        CallError::Count { least, takes_more } => {
            let (at_least, got) = (if takes_more { "at least " } else { "" }, arguments.len());
            TemplateError::at_word(line, format!("wrong number of args for {name}: want {at_least}{least} got {got}"))
        }
    }
}

/// Whether a loop goes on.
enum Flow {
    On,
    Break,
    Continue,
}

impl Run<'_, '_> {
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
                    let text = self.shown(&value);
                    self.write(&text)?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(condition, dot)?;
                let holds = self.truth(&value);
                let flow = self.nodes(if holds { then } else { otherwise }, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::With { subject, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(subject, dot)?;
                let flow = if self.truth(&value) { self.nodes(then, &value)? } else { self.nodes(otherwise, dot)? };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { key, item, over, body, otherwise } => {
                let scope = self.variables.len();
                let over_value = self.pipeline(over, dot)?;
                let items = self.items(over_value).map_err(|reason| TemplateError::new(over.line, reason))?;
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
                    return Err(TemplateError::new(*line, reason));
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
        for (operands, command) in &pipeline.commands {
            let found = self.command(operands, dot, value, pipeline.line);
            value = Some(found.map_err(|error| error.of(command))?);
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
        let name = match &command[0] {
            Operand::Function(name) => name,
            Operand::Fields(of, names) if command.len() > 1 || piped.is_some() => {
                return self.method(of, names, &command[1..], dot, piped, line);
            }
            other => return self.operand(other, dot, line),
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
            if self.truth(&next) == stop_at {
                return Ok(next);
            }
            value = Some(next);
        }
        piped.or(value).ok_or_else(|| TemplateError::new(line, "and, or need at least one argument"))
    }

    /// The last of the names is a method.
    fn method(
        &mut self,
        of: &Operand,
        names: &[String],
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
        line: usize,
    ) -> Result<Value, TemplateError> {
        let failed = |reason: String| TemplateError::new(line, reason);
        let mut value = self.operand(of, dot, line)?;
        let Some((method, fields)) = names.split_last() else { return Ok(value) };
        for name in fields {
            value = self.field(value, name).map_err(failed)?;
        }
        let is_map = match &value {
            Value::Root => self.root.kind().starts_with("map["),
            Value::Object(object) => object.kind().starts_with("map["),
            other => matches!(other, Value::Map(_)),
        };
        if is_map && (!operands.is_empty() || piped.is_some()) {
            return Err(TemplateError::at_word(line, format!("{method} is not a method but has arguments")));
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            arguments.push(self.operand(operand, dot, line)?);
        }
        arguments.extend(piped);
        match &value {
            Value::Root => self.root.call(method, &arguments),
            Value::Object(object) => object.call(method, &arguments),
            other => Err(format!("{method} of {} has arguments but is no method", kind(other))),
        }
        .map_err(failed)
    }

    fn call(&mut self, name: &str, mut arguments: Vec<Value>, line: usize) -> Result<Value, TemplateError> {
        let answer = match (name, arguments.as_mut_slice()) {
            ("index", [Value::Root, key]) => self.root.index(key),
            ("len", [Value::Root]) => match self.root.items() {
                Some(items) => Ok(Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))),
                None => Err(format!("len of type {}", self.root.kind())),
            },
            (_, arguments) => match builtin::call(name, arguments) {
                Some(answer) => answer,
                None => return (self.functions)(name, arguments).map_err(|error| failed(name, arguments, line, error)),
            },
        };
        answer.map_err(|reason| failed(name, &arguments, line, reason.into()))
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
                    .ok_or_else(|| TemplateError::new(line, format!("undefined variable \"${name}\"")))?
            }
            Operand::Function(name) => self.call(name, Vec::new(), line)?,
            Operand::Inner(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Fields(of, names) => {
                let mut value = self.operand(of, dot, line)?;
                for name in names {
                    value = self.field(value, name).map_err(|reason| TemplateError::new(line, reason))?;
                }
                value
            }
        })
    }

    fn field(&self, of: Value, name: &str) -> Result<Value, String> {
        match of {
            Value::Root => self.root.field(name),
            Value::Object(object) => object.field(name),
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
            of => Err(format!("can't evaluate field {name} in {}", kind(&of))),
        }
    }

    fn truth(&self, value: &Value) -> bool {
        match value {
            Value::Root => self.root.truth(),
            value => truth(value),
        }
    }

    fn shown(&self, value: &Value) -> String {
        match value {
            Value::Root => self.root.show(),
            value => shown(value),
        }
    }

    /// What `range` walks over: index or key, and item.
    fn items(&self, value: Value) -> Result<Vec<(Value, Value)>, String> {
        let found = match value {
            Value::Root => self.root.items(),
            Value::Object(ref object) => object.items(),
            Value::Nil => Some(Vec::new()),
            Value::List(list) => {
                let number = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                return Ok(list.into_iter().enumerate().map(|(at, item)| (number(at), item)).collect());
            }
            Value::Map(map) => {
                return Ok(map.into_iter().map(|(name, value)| (Value::Text(name), value)).collect());
            }
            Value::Int(count) if count <= STEPS_MAX as i64 => {
                Some((0..count.max(0)).map(|at| (Value::Int(at), Value::Int(at))).collect())
            }
            _ => None,
        };
        found.ok_or_else(|| format!("range can't iterate over {}", kind(&value)))
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            let reason = format!("the output is longer than {OUTPUT_BYTES_MAX} bytes");
            return Err(TemplateError::new(1, reason));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn step(&mut self, line: usize) -> Result<(), TemplateError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let reason = format!("the template takes more than {STEPS_MAX} steps");
            return Err(TemplateError::new(line.max(1), reason));
        }
        Ok(())
    }
}
