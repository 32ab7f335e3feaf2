//! The way from the root of a configuration to a value, built on the stack while walking and only rendered for an
//! error.

use std::{borrow::Cow, fmt};

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    Root,
    /// A field of a message, by its protobuf name.
    Field(&'p str),
    /// An element of a list.
    Index(usize),
    /// An entry of a map.
    Key(&'p str),
}

/// A linked list that lives in the stack frames of whoever walks, so that a step costs nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

impl<'p> Path<'p> {
    pub(crate) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub(crate) fn field(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    pub(crate) fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    pub(crate) fn key(&'p self, key: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// The steps from the root on.
    pub(crate) fn steps(&self) -> Vec<Step<'p>> {
        let mut steps = vec![self.step];
        let mut at = self.parent;
        while let Some(path) = at {
            steps.push(path.step);
            at = path.parent;
        }
        steps.reverse();
        steps
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for step in self.steps() {
            match step {
                Step::Root => continue,
                Step::Field(name) if first => f.write_str(&shortened(name))?,
                Step::Field(name) => write!(f, ".{}", shortened(name))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{:?}]", shortened(key))?,
            }
            first = false;
        }
        Ok(())
    }
}

/// The start of a name, if it is very long: it stands in the path of every mistake below it.
fn shortened(name: &str) -> Cow<'_, str> {
    const LONGEST: usize = 200;
    if name.len() <= LONGEST {
        return name.into();
    }
    let start = name.get(..name.floor_char_boundary(LONGEST)).unwrap_or_default();
    format!("{start}…").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_with_the_start_of_long_names() {
        let (field, long) = (Path::ROOT.field("a"), "ä".repeat(150));
        assert_eq!(field.index(1).key("b.c").field("d").to_string(), "a[1][\"b.c\"].d");
        assert_eq!(field.key(&long).to_string(), format!("a[\"{}…\"]", "ä".repeat(100)));
        assert_eq!(field.field(&long).to_string(), format!("a.{}…", "ä".repeat(100)));
    }
}
