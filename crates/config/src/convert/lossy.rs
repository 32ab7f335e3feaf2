//! Finds the place in the v3 output for what a warning says about a value of the v1 file.
//!
//! The upgrade gives every v3 value the position of the v1 value that it comes from. A value that has no counterpart is
//! spoken of where the nearest value around it went.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::{Notes, yaml::note_key};
use crate::{
    error::{Warning, WarningKind},
    tree::{Mark, Node, Value},
};

/// Line and column, because the width of a mark is not always known.
type Position = (u32, u32);

fn position(mark: Mark) -> Position {
    (mark.line(), mark.column())
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

/// Adds a note to `notes` for each of the `warnings` that is about something lost on the way from the tree `v1` to the
/// tree `v3`, of which `written` is the canonical form. At most `budget` values of each tree are looked at.
pub(super) fn note(
    notes: &mut Notes,
    warnings: &[Warning],
    (v1, v3): (&Node<'_>, &Node<'_>),
    written: &Json,
    budget: usize,
) {
    let lost: Vec<&Warning> = warnings
        .iter()
        .filter(|warning| matches!(warning.kind, WarningKind::Lossy | WarningKind::Unknown))
        .collect();
    if lost.is_empty() {
        return;
    }
    let targets = lost.iter().map(|warning| (warning.place.line, warning.place.column)).collect();
    let mut around = Around { targets, found: HashMap::new(), open: Vec::new(), budget };
    around.visit(v1);
    let wanted = around.found.values().flatten().copied().collect();
    let mut places = Places { wanted, found: HashMap::new(), path: Vec::new(), budget };
    places.visit(v3);
    for warning in lost {
        let outwards =
            around.found.get(&(warning.place.line, warning.place.column)).into_iter().flatten().rev();
        let path = outwards.filter_map(|position| places.found.get(position)).next();
        let path = path.map(|path| existing(written, path)).unwrap_or_default();
        notes.entry(note_key(&path)).or_default().push(sentence(&warning.message));
    }
}

fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect::<String>() + "."
}

/// Collects the positions of the values around each target, from the outermost inwards, with the target's own.
struct Around {
    targets: HashSet<Position>,
    found: HashMap<Position, Vec<Position>>,
    open: Vec<Position>,
    budget: usize,
}

impl Around {
    fn visit(&mut self, node: &Node<'_>) {
        if self.budget == 0 || self.found.len() == self.targets.len() {
            return;
        }
        self.budget -= 1;
        let at = position(node.mark);
        self.open.push(at);
        self.look(at);
        match node.resolved() {
            Value::Map(entries) => {
                for entry in entries {
                    // What is said about a key is about the value, if that has gone anywhere.
                    let key = position(entry.mark);
                    if self.targets.contains(&key) && !self.found.contains_key(&key) {
                        let mut chain = self.open.clone();
                        chain.push(position(entry.value.mark));
                        self.found.insert(key, chain);
                    }
                    self.visit(&entry.value);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.visit(item)),
            _ => {}
        }
        self.open.pop();
    }

    fn look(&mut self, at: Position) {
        if self.targets.contains(&at) && !self.found.contains_key(&at) {
            self.found.insert(at, self.open.clone());
        }
    }
}

/// Finds the outermost value at each of the wanted positions.
struct Places {
    wanted: HashSet<Position>,
    found: HashMap<Position, Vec<Step>>,
    path: Vec<Step>,
    budget: usize,
}

impl Places {
    fn visit(&mut self, node: &Node<'_>) {
        if self.budget == 0 || self.found.len() == self.wanted.len() {
            return;
        }
        self.budget -= 1;
        let at = position(node.mark);
        if self.wanted.contains(&at) && !self.found.contains_key(&at) {
            self.found.insert(at, self.path.clone());
        }
        match node.resolved() {
            Value::Map(entries) => {
                for entry in entries {
                    self.path.push(Step::Field(entry.key.to_string()));
                    self.visit(&entry.value);
                    self.path.pop();
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.visit(item);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }
}

/// As much of a path as has been written: what is at its default is left out.
fn existing(mut value: &Json, path: &[Step]) -> String {
    let mut written = String::new();
    for step in path {
        let next = match step {
            Step::Field(name) => value.get(name.as_str()),
            Step::Index(index) => value.get(*index),
        };
        let Some(next) = next else { break };
        value = next;
        match step {
            Step::Field(name) if written.is_empty() => written.clone_from(name),
            Step::Field(name) => written = format!("{written}.{name}"),
            Step::Index(index) => written = format!("{written}[{index}]"),
        }
    }
    written
}
