//! Runs a parsed template.

use crate::parse::{Call, Node, Operand, Pipeline};
use crate::{
    CallError, Command, DEPTH_MAX, Functions, Int64, OUTPUT_BYTES_MAX, Object, STEPS_MAX, Template, TemplateError,
    Value, builtin, kind, shown, truth,
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

/// In Go's words, and where Go says it: of the call as a whole, of the function's name, or of what was looked at last.
fn failed(name: &str, call: &Call, arguments: &[Value], line: usize, error: CallError) -> TemplateError {
    let (reason, place) = match error {
        CallError::Failed(reason) => (calling(name, &reason), &call.written),
        CallError::Count { least, takes_more } => (count(name, least, takes_more, arguments.len()), &call.words[0]),
        CallError::Type { at, wanted } => wrong_type(call, at, arguments.get(at), wanted),
    };
    TemplateError::new(line, reason).of(place)
}

/// As [`failed`], of a function that is called without arguments; the caller knows where.
fn failed_alone(name: &str, line: usize, error: CallError) -> TemplateError {
    TemplateError::new(
        line,
        match error {
            CallError::Failed(reason) => calling(name, &reason),
            CallError::Count { least, takes_more } => count(name, least, takes_more, 0),
            CallError::Type { wanted, .. } => format!("invalid value; expected {wanted}"),
        },
    )
}

/// A template has no functions among its values.
fn no_function(word: Option<&Command>, arguments: &[Value]) -> CallError {
    match arguments.first() {
        None => CallError::Count { least: 1, takes_more: true },
        Some(Value::Nil) => CallError::Failed("call of nil".into()),
        Some(value) => {
            let name = word.map_or_else(|| shown(value), |word| word.text.clone());
            CallError::Failed(format!("non-function {name} of type {}", kind(value)))
        }
    }
}

/// What is wrong with a number that a word is, until the word is known.
const OVERFLOW: &str = " overflows int";

fn told(mut error: TemplateError, word: &Command) -> TemplateError {
    if error.reason == OVERFLOW {
        error.reason.insert_str(0, &word.text);
    }
    error.of(word)
}

fn calling(name: &str, reason: &str) -> String {
    format!("error calling {name}: {reason}")
}

fn count(name: &str, least: usize, takes_more: bool, got: usize) -> String {
    let at_least = if takes_more { "at least " } else { "" };
    format!("wrong number of args for {name}: want {at_least}{least} got {got}")
}

fn wrong_type<'c>(call: &'c Call, at: usize, found: Option<&Value>, wanted: &str) -> (String, &'c Command) {
    let wrong = || match found {
        None | Some(Value::Nil) => format!("invalid value; expected {wanted}"),
        Some(found) => format!("wrong type for value; expected {wanted}; got {}", kind(found)),
    };
    let (Some(operand), Some(word)) = (call.operands.get(at + 1), call.words.get(at + 1)) else {
        // What was piped is looked at after all that is written.
        return (wrong(), call.last_word());
    };
    let reason = match (operand, wanted) {
        (Operand::Nil, _) => format!("cannot assign nil to {wanted}"),
        (Operand::Bool(_) | Operand::Integer(_) | Operand::Overflow | Operand::Float(_) | Operand::Text(_), wanted) => {
            match wanted {
                "int" => format!("expected integer; found {}", word.text),
                "float64" => format!("expected float; found {}", word.text),
                "string" => format!("expected string; found {}", word.text),
                wanted => format!("can't handle {} for arg of type {wanted}", word.text),
            }
        }
        (Operand::Inner(pipeline), _) => return (wrong(), pipeline.commands.last().map_or(word, Call::last_word)),
        _ => wrong(),
    };
    (reason, word)
}

/// How often a `range` over a number goes round; `None` for what is none, or for more than a run has steps.
fn count_of(value: &Value) -> Option<i64> {
    let count = match value {
        Value::Int(count) => Some(*count),
        Value::Object(object) if object.is_plain() => object.number(),
        _ => None,
    };
    count.filter(|count| *count <= STEPS_MAX as i64).map(|count| count.max(0))
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
                let counted = count_of(&over_value).is_some() && key.is_some();
                let items = match counted {
                    true => Err(format!("can't use {} to iterate over more than one variable", shown(&over_value))),
                    false => self.items(over_value),
                };
                let items = items.map_err(|reason| {
                    let error = TemplateError::new(over.line, reason);
                    over.commands.last().map_or(error.clone(), |call| error.of(call.last_word()))
                })?;
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
            Node::Call { name, data, written } => {
                let dot = match data {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Nil,
                };
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let reason = format!("templates call each other deeper than {DEPTH_MAX}");
                    return Err(TemplateError::new(written.line, reason));
                }
                let Some(body) = self.template.defined.get(name) else {
                    let reason = format!("template {name:?} not defined");
                    return Err(TemplateError::new(written.line, reason).of(written));
                };
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
        for call in &pipeline.commands {
            let found = self.command(call, dot, value, pipeline.line);
            value = Some(found.map_err(|error| error.of(&call.written))?);
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
        command: &Call,
        dot: &Value,
        piped: Option<Value>,
        line: usize,
    ) -> Result<Value, TemplateError> {
        let operands = &command.operands[1..];
        let name = match &command.operands[0] {
            Operand::Function(name) => name,
            Operand::Nil if operands.is_empty() && piped.is_none() => {
                return Err(TemplateError::new(line, "nil is not a command").of(&command.words[0]));
            }
            Operand::Fields(of, names) if !operands.is_empty() || piped.is_some() => {
                let found = self.method(of, names, operands, dot, piped, line);
                return found.map_err(|error| error.of(&command.words[0]));
            }
            _ if !operands.is_empty() || piped.is_some() => {
                let word = &command.words[0];
                let reason = format!("can't give argument to non-function {}", word.text);
                return Err(TemplateError::new(line, reason).of(word));
            }
            other => return self.operand(other, dot, line).map_err(|error| told(error, &command.words[0])),
        };
        if name == "and" || name == "or" {
            return self.shortcut(name == "or", operands, dot, piped, line);
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for (operand, word) in operands.iter().zip(&command.words[1..]) {
            arguments.push(self.operand(operand, dot, line).map_err(|error| told(error, word))?);
        }
        arguments.extend(piped);
        if name == "call" {
            let called = no_function(command.words.get(1), &arguments);
            return Err(failed(name, command, &arguments, line, called));
        }
        self.call(name, &arguments).map_err(|error| failed(name, command, &arguments, line, error))
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
            return Err(TemplateError::new(line, format!("{method} is not a method but has arguments")));
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

    fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Value, CallError> {
        match (name, arguments) {
            ("index", [Value::Root, key]) => self.root.index(key).map_err(CallError::from),
            ("len", [Value::Root]) => match self.root.items() {
                Some(items) => Ok(Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))),
                None => Err(CallError::Failed(format!("len of type {}", self.root.kind()))),
            },
            _ => match builtin::call(name, arguments, !self.template.strict) {
                Some(answer) => answer.map_err(CallError::from),
                None => (self.functions)(name, arguments),
            },
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value, line: usize) -> Result<Value, TemplateError> {
        self.step(line)?;
        Ok(match operand {
            Operand::Nil => Value::Nil,
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Integer(value) => Value::Int(*value),
            Operand::Overflow => return Err(TemplateError::new(line, OVERFLOW)),
            Operand::Float(value) => Value::Float(*value),
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Dot => dot.clone(),
            Operand::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| TemplateError::new(line, format!("undefined variable \"${name}\"")))?
            }
            Operand::Function(name) => self.call(name, &[]).map_err(|error| failed_alone(name, line, error))?,
            Operand::Inner(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Fields(of, names) => {
                let mut value = self.operand(of, dot, line)?;
                let mut in_map = false;
                for name in names {
                    if in_map && matches!(value, Value::Nil) {
                        let error = TemplateError::new(line, format!("nil pointer evaluating interface {{}}.{name}"));
                        return Err(match &**of {
                            Operand::Inner(inner) => {
                                inner.commands.last().map_or(error.clone(), |call| error.of(call.last_word()))
                            }
                            _ => error,
                        });
                    }
                    in_map = matches!(value, Value::Map(_));
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
            Value::Nil => Ok(Value::Nil),
            of => Err(format!("can't evaluate field {name} in type {}", kind(&of))),
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
            Value::Object(ref object) if object.is_plain() => count_of(&value).map(|count| {
                let number = |at: i64| Value::object(Int64(at));
                (0..count).map(|at| (number(at), number(at))).collect()
            }),
            Value::Object(ref object) => object.items(),
            Value::Nil => Some(Vec::new()),
            Value::List(list) => {
                let number = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                return Ok(list.into_iter().enumerate().map(|(at, item)| (number(at), item)).collect());
            }
            Value::Map(map) => {
                return Ok(map.into_iter().map(|(name, value)| (Value::Text(name), value)).collect());
            }
            ref value => count_of(value).map(|count| (0..count).map(|at| (Value::Int(at), Value::Int(at))).collect()),
        };
        found.ok_or_else(|| format!("range can't iterate over {}", self.shown(&value)))
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
