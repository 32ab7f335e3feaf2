//! Bounds what the aliases of a v1 file stand for. The upgrade copies values, so that in the new tree none is an alias,
//! and nobody after it could count them.

use std::sync::Arc;

use crate::{
    error::{ErrorKind, Issues},
    model::Place,
    path::Path,
    source::Limits,
    tree::{Mark, Node, Value},
};

/// Whether the aliases in `tree` stand for no more than `limits` allow; if they do, that is reported.
pub(super) fn keeps(tree: &Node<'_>, source: &Arc<str>, limits: &Limits, issues: &mut Issues) -> bool {
    Budget { source, limits, issues, nodes: 0, bytes: 0 }.keeps(tree, &Path::ROOT, false)
}

struct Budget<'b> {
    source: &'b Arc<str>,
    limits: &'b Limits,
    issues: &'b mut Issues,
    /// How many values have been visited through aliases.
    nodes: usize,
    /// How many bytes of text they had.
    bytes: usize,
}

impl Budget<'_> {
    fn keeps(&mut self, node: &Node<'_>, path: &Path<'_>, aliased: bool) -> bool {
        let aliased = aliased || matches!(node.value, Value::Shared(_));
        match node.resolved() {
            Value::List(items) => {
                self.count(aliased, 0, node.mark, path)
                    && items.iter().enumerate().all(|(at, item)| self.keeps(item, &path.index(at), aliased))
            }
            Value::Map(entries) => {
                self.count(aliased, 0, node.mark, path)
                    && entries.iter().all(|entry| {
                        let at = path.field(&entry.key);
                        self.count(aliased, entry.key.len(), entry.mark, &at)
                            && self.keeps(&entry.value, &at, aliased)
                    })
            }
            Value::Scalar(scalar) => self.count(aliased, scalar.text.len(), node.mark, path),
            Value::Shared(_) => true,
        }
    }

    fn count(&mut self, aliased: bool, bytes: usize, mark: Mark, path: &Path<'_>) -> bool {
        if !aliased {
            return true;
        }
        self.nodes += 1;
        self.bytes += bytes;
        let Limits { alias_nodes, alias_bytes, .. } = *self.limits;
        let exceeded = if self.nodes > alias_nodes {
            format!("{alias_nodes} values")
        } else if self.bytes > alias_bytes {
            format!("{alias_bytes} bytes of text")
        } else {
            return true;
        };
        let place = Place::at(self.source, mark, path.to_string());
        self.issues.error(place, ErrorKind::Limit, format!("the aliases stand for more than {exceeded}"));
        false
    }
}
