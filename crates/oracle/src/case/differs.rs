//! Differences from Envoy that are kept on purpose.

use serde::{Deserialize, Deserializer, de::value::StrDeserializer};

use crate::{pattern, seen::Part};

/// A difference from Envoy that is kept on purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differs {
    /// The exchange's name; a `*` at the end stands for any rest.
    pub exchange: String,
    /// The parts of the answer that differ.
    pub what: Vec<What>,
    /// Why, as in `docs/ENVOY_COMPAT.md`.
    pub reason: String,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A part of the answer.
    Part(Part),
    /// Some of the stats, written as `stats:PATTERN`.
    Stats(String),
    /// Written as `delayed-close`: Envoy waits before it closes the connection, Nuncio does not.
    DelayedClose,
}

impl Differs {
    /// Whether an exchange is meant.
    pub fn is_about(&self, exchange: &str) -> bool {
        pattern::matches(&self.exchange, exchange)
    }
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "delayed-close" {
            return Ok(Self::DelayedClose);
        }
        if let Some(pattern) = text.strip_prefix("stats:") {
            return Ok(Self::Stats(pattern.to_owned()));
        }
        let part = Part::deserialize(StrDeserializer::<D::Error>::new(&text))?;
        Ok(if part == Part::Stats { Self::Stats("*".to_owned()) } else { Self::Part(part) })
    }
}
