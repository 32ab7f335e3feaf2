//! What an object of the v1 format may hold, as tables.

/// The keys of one kind of object.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    /// What an error calls the object: `a v1 cluster`.
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
    /// v1 ignored keys of this object that it did not know; everywhere else they were errors.
    pub(super) open: bool,
    /// Keys that people write here by mistake, and what to do instead.
    pub(super) mistakes: &'static [(&'static str, &'static str)],
}

/// One key of an object.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// Words, or keys of an object, that people write here by mistake, and what they mean.
    pub(super) meant: &'static [(&'static str, &'static str)],
}

/// What a value must be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A string; `least` characters at least.
    Text {
        least: usize,
    },
    /// An integer from the first to the second number.
    Integer(i64, i64),
    Boolean,
    /// One of these words, in exactly this case, and what each is in v3.
    Choice(&'static [(&'static str, &'static str)]),
    Object,
    /// A list with so many values at least.
    List {
        least: usize,
    },
    /// A list of strings with so many at least, all different if `unique`.
    Texts {
        least: usize,
        unique: bool,
    },
    /// Anything: read elsewhere.
    Any,
}

impl Schema {
    pub(super) const fn new(name: &'static str, keys: &'static [Key]) -> Self {
        Self { name, keys, open: false, mistakes: &[] }
    }

    pub(super) const fn open(self) -> Self {
        Self { open: true, ..self }
    }

    pub(super) const fn mistakes(self, mistakes: &'static [(&'static str, &'static str)]) -> Self {
        Self { mistakes, ..self }
    }
}

impl Key {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false, meant: &[] }
    }

    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) const fn meant(self, meant: &'static [(&'static str, &'static str)]) -> Self {
        Self { meant, ..self }
    }
}

pub(super) const fn text(name: &'static str) -> Key {
    Key::new(name, Kind::Text { least: 0 })
}

/// A string that must not be empty.
pub(super) const fn word(name: &'static str) -> Key {
    Key::new(name, Kind::Text { least: 1 })
}

pub(super) const fn integer(name: &'static str, least: i64, most: i64) -> Key {
    Key::new(name, Kind::Integer(least, most))
}

/// An integer of 32 bits without a sign.
pub(super) const fn count(name: &'static str) -> Key {
    integer(name, 0, u32::MAX as i64)
}

/// Milliseconds, zero allowed.
pub(super) const fn millis(name: &'static str) -> Key {
    integer(name, 0, MOST_MILLIS)
}

/// Milliseconds, at least one.
pub(super) const fn positive_millis(name: &'static str) -> Key {
    integer(name, 1, MOST_MILLIS)
}

pub(super) const fn percent(name: &'static str) -> Key {
    integer(name, 0, 100)
}

pub(super) const fn boolean(name: &'static str) -> Key {
    Key::new(name, Kind::Boolean)
}

pub(super) const fn choice(name: &'static str, words: &'static [(&'static str, &'static str)]) -> Key {
    Key::new(name, Kind::Choice(words))
}

pub(super) const fn object(name: &'static str) -> Key {
    Key::new(name, Kind::Object)
}

pub(super) const fn list(name: &'static str, least: usize) -> Key {
    Key::new(name, Kind::List { least })
}

pub(super) const fn texts(name: &'static str) -> Key {
    Key::new(name, Kind::Texts { least: 0, unique: false })
}

/// Strings of which no two may be the same.
pub(super) const fn unique_texts(name: &'static str, least: usize) -> Key {
    Key::new(name, Kind::Texts { least, unique: true })
}

pub(super) const fn any(name: &'static str) -> Key {
    Key::new(name, Kind::Any)
}

/// The most that `google.protobuf.Duration` holds: 10,000 years.
const MOST_MILLIS: i64 = 315_576_000_000_000;
