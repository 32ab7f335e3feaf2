//! What the caller gives: texts, options, and a way to read the files that the texts refer to.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

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

    /// Reads a file, or what else stands at a path (a pipe, `/dev/stdin`), under the path's name.
    ///
    /// # Errors
    ///
    /// What the system says, that there is more to read than [`Limits::bytes`], or that it is not UTF-8 text. Of a
    /// file that is too large nothing is read, of anything else no more than the limit.
    pub fn read(path: impl AsRef<Path>, limits: &Limits) -> io::Result<Self> {
        let path = path.as_ref();
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.len() > limits.bytes as u64 {
            return Err(too_large(limits.bytes));
        }
        Self::from_reader(path.display().to_string(), file, limits)
    }

    /// Reads all that a reader gives.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn from_reader(name: impl Into<String>, reader: impl io::Read, limits: &Limits) -> io::Result<Self> {
        let bytes = read_at_most(reader, limits.bytes)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, not_text(error.as_bytes())))?;
        Ok(Self::new(name, text))
    }
}

fn read_at_most(reader: impl io::Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take((most as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn too_large(most: usize) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))
}

/// Why bytes are not UTF-8 text.
fn not_text(bytes: &[u8]) -> String {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return "it is UTF-16 text, and must be UTF-8".to_owned();
    }
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let line = valid.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let found = bytes.get(valid.len()).copied().unwrap_or_default();
    format!("it is not UTF-8 text: line {line} has the byte 0x{found:02x}")
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

    /// Whether the file `name` could be opened to append lines to it, which must not make it. By default any can.
    fn appendable(&self, name: &str) -> io::Result<()> {
        let _ = name;
        Ok(())
    }
}

/// The file system of this machine and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Externals for Machine {
    fn file(&self, name: &str) -> io::Result<Vec<u8>> {
        read_at_most(File::open(name)?, Limits::default().bytes)
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
    }

    fn appendable(&self, name: &str) -> io::Result<()> {
        match std::fs::metadata(name) {
            // A pipe would wait for its reader.
            Ok(found) if found.is_file() || found.is_dir() => {
                std::fs::OpenOptions::new().append(true).open(name).map(drop)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match Path::new(name).parent() {
                Some(folder) if folder != Path::new("") => std::fs::metadata(folder).map(drop),
                _ => Ok(()),
            },
            found => found.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let limits = Limits { bytes: 10, ..Limits::default() };
        let read = Source::from_reader("a", bytes, &limits);
        let read = read.map(|source| source.text).map_err(|error| error.to_string());
        assert_eq!(read, expected.map(str::to_owned).map_err(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn what_is_read() {
        check(b"", Ok(""));
        check("node: äö".as_bytes(), Ok("node: äö"));
        check("node: äö\n".as_bytes(), Err("it has more than 10 bytes"));
        check(b"a: 1\nb: \xff", Err("it is not UTF-8 text: line 2 has the byte 0xff"));
        check(b"a: \xe4", Err("it is not UTF-8 text: line 1 has the byte 0xe4"));
        check(b"\xff\xfea\0", Err("it is UTF-16 text, and must be UTF-8"));
        check(b"\xfe\xff\0a", Err("it is UTF-16 text, and must be UTF-8"));
    }

    #[test]
    fn a_path_need_not_be_a_file() {
        let limits = Limits { bytes: 1000, ..Limits::default() };
        let error = |path: &str| Source::read(path, &limits).unwrap_err();
        assert_eq!(Source::read("/dev/null", &limits).unwrap().text, "");
        assert_eq!(error("/dev/zero").kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error(env!("CARGO_MANIFEST_DIR")).kind(), io::ErrorKind::IsADirectory);
        assert_eq!(error("/nowhere").kind(), io::ErrorKind::NotFound);
        assert_eq!(Machine.file("/dev/zero").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
