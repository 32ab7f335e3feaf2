//! What the caller gives: texts, options, and a way to read the files that the texts refer to.

use std::{fmt, io};

/// A text to load, with the name that errors show.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The name: usually the file's path as the user gave it.
    pub name: String,
    /// YAML or JSON.
    pub text: String,
}

impl Source {
    /// A text with its name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// The text may hold private keys, so only its length is shown.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("bytes", &self.text.len()).finish()
    }
}

/// How strictly to load, and from where.
#[derive(Clone, Copy, Default)]
pub struct LoadOptions<'a> {
    /// Turns what is not supported into warnings, except where leaving it out would weaken security.
    pub allow_unsupported: bool,
    /// Turns unknown fields into warnings, as Envoy's `--allow-unknown-static-fields` does.
    pub allow_unknown_static_fields: bool,
    /// How much a text may demand.
    pub limits: Limits,
    /// Where `filename` and `environment_variable` are looked up; `None`: in this machine's file system and this
    /// process's environment.
    pub externals: Option<&'a dyn Externals>,
}

impl LoadOptions<'_> {
    pub(crate) fn externals(&self) -> &dyn Externals {
        self.externals.unwrap_or(&Machine)
    }
}

impl fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("allow_unsupported", &self.allow_unsupported)
            .field("allow_unknown_static_fields", &self.allow_unknown_static_fields)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How much a text may demand before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one text.
    pub bytes: usize,
    /// Values in one text.
    pub nodes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Values that are reached through aliases, all together.
    pub alias_nodes: usize,
    /// Bytes of text in the values that are reached through aliases, and in the keys that are aliases.
    pub alias_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, nodes: 2_000_000, depth: 100, alias_nodes: 100_000, alias_bytes: 16 << 20 }
    }
}

/// What a configuration may refer to outside its text.
pub trait Externals {
    /// The contents of the file `name`; a relative name is relative to the working directory.
    fn file(&self, name: &str) -> io::Result<Vec<u8>>;

    /// The value of the environment variable `name`.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;
}

/// The file system of this machine and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Externals for Machine {
    fn file(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(name)
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
    }
}
