//! Regular expressions with the meaning that RE2 has in Envoy, run without allocation.

mod classes;
mod translate;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, meta};

/// What the automaton of one expression may need before it has states at most once for each byte of text.
const NFA_LIMIT: usize = 1 << 20;
/// What the table of one expression may need, and what making it may need.
const DFA_LIMIT: usize = 1 << 18;
/// The same for a table of many expressions.
const MANY_LIMIT: usize = 1 << 21;

/// An expression that was found to be sound (`type.matcher.v3.RegexMatcher`).
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    prefix: Vec<u8>,
    /// What must follow the prefix, up to the end.
    rest: String,
    nfa: NFA,
}

impl Pattern {
    /// Reads an expression, or says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        let translate::Translated { prefix, rest } = translate::translate(text)?;
        let rest = format!(r"(?:{rest})\z");
        let nfa = compiler().build(&rest).map_err(|error| match error.size_limit() {
            Some(limit) => format!("compiled it exceeds {limit} bytes"),
            None => error.to_string(),
        })?;
        Ok(Self { prefix, rest, nfa })
    }

    /// What every text that matches starts with.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Makes it ready to be matched.
    pub(crate) fn compile(&self) -> Result<Regex, String> {
        let engine = match table(&self.nfa, DFA_LIMIT) {
            Some(dfa) => Engine::Table(Box::new(dfa)),
            None => {
                let config = meta::Config::new().which_captures(WhichCaptures::None).utf8_empty(false);
                let regex = meta::Builder::new().configure(config).syntax(syntax()).build(&self.rest);
                Engine::Search(Box::new(regex.map_err(|error| error.to_string())?))
            }
        };
        Ok(Regex { prefix: self.prefix.as_slice().into(), engine })
    }
}

/// An expression to match whole texts with.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    prefix: Box<[u8]>,
    /// For what follows the prefix.
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    /// A state for each set of possibilities: a step for each byte, and nothing to allocate.
    Table(Box<dense::DFA<Vec<u32>>>),
    /// For expressions whose table would be too large. The states are made when they are met, which allocates.
    Search(Box<meta::Regex>),
}

impl Regex {
    /// Reads an expression and makes it ready.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        Pattern::new(text)?.compile()
    }

    /// Whether the whole text matches.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        text.starts_with(&self.prefix)
            && match &self.engine {
                Engine::Table(dfa) => end_state(dfa, text, self.prefix.len()).is_some(),
                Engine::Search(regex) => regex.is_match(rest(text, self.prefix.len())),
            }
    }
}

/// Several expressions with the same prefix in one table: a text goes through it once.
#[derive(Clone, Debug)]
pub(crate) struct RegexSet(Box<dense::DFA<Vec<u32>>>);

impl RegexSet {
    /// A table of these expressions, which have the same prefix, unless it became too large.
    pub(crate) fn new(patterns: &[&Pattern]) -> Option<Self> {
        let texts: Vec<&str> = patterns.iter().map(|pattern| pattern.rest.as_str()).collect();
        let nfa = compiler().build_many(&texts).ok()?;
        table(&nfa, MANY_LIMIT).map(|dfa| Self(Box::new(dfa)))
    }

    /// The places of the expressions that match the whole text, in any order. The text starts with their prefix, which
    /// has this length.
    pub(crate) fn matches(&self, text: &[u8], prefix: usize) -> impl Iterator<Item = usize> {
        let dfa = &*self.0;
        let found = end_state(dfa, text, prefix);
        let count = found.map_or(0, |state| dfa.match_len(state));
        (0..count).filter_map(move |at| found.map(|state| dfa.match_pattern(state, at).as_usize()))
    }
}

/// The text from behind a prefix, which is still there to be looked back at.
fn rest(text: &[u8], prefix: usize) -> Input<'_> {
    Input::new(text).range(prefix..).anchored(Anchored::Yes)
}

/// The state after the text from behind a prefix, if it is one that matches.
fn end_state(dfa: &dense::DFA<Vec<u32>>, text: &[u8], prefix: usize) -> Option<StateID> {
    let mut state = dfa.start_state_forward(&rest(text, prefix)).ok()?;
    for byte in text.get(prefix..)? {
        state = dfa.next_state(state, *byte);
        if dfa.is_special_state(state) && dfa.is_dead_state(state) {
            return None;
        }
    }
    let state = dfa.next_eoi_state(state);
    dfa.is_match_state(state).then_some(state)
}

fn table(nfa: &NFA, limit: usize) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(limit))
        .determinize_size_limit(Some(limit));
    dense::Builder::new().configure(config).build_from_nfa(nfa).ok()
}

fn compiler() -> thompson::Compiler {
    let config = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(NFA_LIMIT))
        .which_captures(WhichCaptures::None);
    let mut compiler = thompson::Compiler::new();
    compiler.syntax(syntax()).configure(config);
    compiler
}

/// Bytes, not characters: see [`translate`].
fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false).nest_limit(1000)
}

#[cfg(test)]
mod tests;
