//! Which fields a template speaks of.

use crate::Template;
use crate::parse::{Call, Node, Operand, Pipeline};

impl Template {
    /// The names of all fields of `.` (`{{ .a.b }}` has two), each as often as it stands there. Definitions and their calls are not looked into.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        nodes(&self.body, &mut fields);
        fields
    }

    /// Whether it may speak of `.` as a whole: a bare dot, `$`, or a call that hands one on.
    pub fn speaks_of_root(&self) -> bool {
        speaks_of_root(&self.body)
    }

    /// The field that the template is nothing but: `{{ .message }}`.
    pub fn only_field(&self) -> Option<&str> {
        match self.body.as_slice() {
            [Node::Show(Pipeline { variable: None, commands, .. })] => match commands.as_slice() {
                [Call { operands, .. }] => match operands.as_slice() {
                    [Operand::Fields(of, names)] if matches!(**of, Operand::Dot) && names.len() == 1 => {
                        names.first().map(String::as_str)
                    }
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

fn nodes<'t>(of: &'t [Node], fields: &mut Vec<&'t str>) {
    for node in of {
        match node {
            Node::Text(_) | Node::Call { .. } | Node::Break | Node::Continue => {}
            Node::Show(shown) => pipeline(shown, fields),
            Node::If { condition: subject, then, otherwise }
            | Node::With { subject, then, otherwise }
            | Node::Range { over: subject, body: then, otherwise, .. } => {
                pipeline(subject, fields);
                nodes(then, fields);
                nodes(otherwise, fields);
            }
        }
    }
}

fn pipeline<'t>(of: &'t Pipeline, fields: &mut Vec<&'t str>) {
    for operand in of.operands() {
        match operand {
            Operand::Fields(of, names) if matches!(**of, Operand::Dot) => {
                fields.extend(names.iter().map(String::as_str));
            }
            Operand::Inner(inner) => pipeline(inner, fields),
            _ => {}
        }
    }
}

fn speaks_of_root(of: &[Node]) -> bool {
    of.iter().any(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => false,
        Node::Call { .. } => true,
        Node::Show(shown) => hands_on_root(shown),
        Node::If { condition: subject, then, otherwise }
        | Node::With { subject, then, otherwise }
        | Node::Range { over: subject, body: then, otherwise, .. } => {
            hands_on_root(subject) || speaks_of_root(then) || speaks_of_root(otherwise)
        }
    })
}

fn hands_on_root(of: &Pipeline) -> bool {
    of.operands().any(|operand| match operand {
        Operand::Dot => true,
        Operand::Variable(name) => name.is_empty(),
        Operand::Fields(of, _) => matches!(&**of, Operand::Variable(name) if name.is_empty()),
        Operand::Inner(inner) => hands_on_root(inner),
        _ => false,
    })
}
