//! What a template's expressions yield.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;

/// What a pipeline yields.
#[derive(Debug, Clone)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// Go's `map[string]interface{}`: an absent key is nil.
    Map(BTreeMap<String, Value>),
    /// A value of the caller's with fields and methods.
    Object(Rc<dyn Object>),
    /// What the run began with.
    Root,
}

/// A value that the caller brings: a label set, a sample, an alert, a time.
pub trait Object: Debug {
    /// The type's name, for errors.
    fn kind(&self) -> &'static str;

    /// What an action shows of it.
    fn show(&self) -> String;

    /// A field, or a method without arguments.
    fn field(&self, name: &str) -> Result<Value, String> {
        Err(format!("can't evaluate field {name} in type {}", self.kind()))
    }

    /// A method with arguments.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match arguments.is_empty() {
            true => self.field(name),
            false => Err(format!("{name} of {} has arguments but is no method", self.kind())),
        }
    }

    /// The number that a type of Go's is beneath its name, such as a month or a duration.
    fn number(&self) -> Option<i64> {
        None
    }

    /// Whether it is a bare number, without a text of its own.
    fn is_plain(&self) -> bool {
        false
    }

    fn index(&self, _key: &Value) -> Result<Value, String> {
        Err(format!("can't index item of type {}", self.kind()))
    }

    /// What `range` walks over: index or key, and item. `None` where it cannot.
    fn items(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// Go's truth: not zero, not empty.
    fn truth(&self) -> bool {
        self.number() != Some(0) && self.items().is_none_or(|items| !items.is_empty())
    }

    /// Itself, for the caller's functions to find the type they know.
    fn as_any(&self) -> &dyn Any;
}

/// Go's `int64`, which is another type than `int` to whoever checks types.
#[derive(Debug, Clone, Copy)]
pub struct Int64(pub i64);

impl Object for Int64 {
    fn kind(&self) -> &'static str {
        "int64"
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn number(&self) -> Option<i64> {
        Some(self.0)
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Value {
    /// A value around one of the caller's own.
    pub fn object(object: impl Object + 'static) -> Value {
        Value::Object(Rc::new(object))
    }

    /// The caller's own value, if it is one of this type.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        match self {
            Value::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

/// Go's truth: not zero, not empty.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(list) => !list.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Object(object) => object.truth(),
        Value::Root => true,
    }
}
