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
    translated: String,
    prefix: Vec<u8>,
    nfa: NFA,
}

impl Pattern {
    /// Reads an expression, or says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        let translate::Translated { pattern, prefix } = translate::translate(text)?;
        let translated = format!(r"(?:{pattern})\z");
        let nfa = compiler().build(&translated).map_err(|error| match error.size_limit() {
            Some(limit) => format!("compiled it exceeds {limit} bytes"),
            None => error.to_string(),
        })?;
        Ok(Self { translated, prefix, nfa })
    }

    /// What every text that matches starts with.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Makes it ready to be matched.
    pub(crate) fn compile(&self) -> Result<Regex, String> {
        if let Some(dfa) = table(&self.nfa, DFA_LIMIT) {
            return Ok(Regex(Engine::Table(Box::new(dfa))));
        }
        let config = meta::Config::new().which_captures(WhichCaptures::None).utf8_empty(false);
        let regex = meta::Builder::new().configure(config).syntax(syntax()).build(&self.translated);
        regex.map(|regex| Regex(Engine::Search(Box::new(regex)))).map_err(|error| error.to_string())
    }
}

/// An expression to match whole texts with.
#[derive(Clone, Debug)]
pub(crate) struct Regex(Engine);

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
        match &self.0 {
            Engine::Table(dfa) => end_state(dfa, text).is_some(),
            Engine::Search(regex) => regex.is_match(Input::new(text).anchored(Anchored::Yes)),
        }
    }
}

/// Several expressions in one table: a text goes through it once.
#[derive(Clone, Debug)]
pub(crate) struct RegexSet(Box<dense::DFA<Vec<u32>>>);

impl RegexSet {
    /// A table of these expressions, unless it became too large.
    pub(crate) fn new(patterns: &[&Pattern]) -> Option<Self> {
        let texts: Vec<&str> = patterns.iter().map(|pattern| pattern.translated.as_str()).collect();
        let nfa = compiler().build_many(&texts).ok()?;
        table(&nfa, MANY_LIMIT).map(|dfa| Self(Box::new(dfa)))
    }

    /// The places of the expressions that match the whole text, in any order.
    pub(crate) fn matches(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let dfa = &*self.0;
        let found = end_state(dfa, text);
        let count = found.map_or(0, |state| dfa.match_len(state));
        (0..count).filter_map(move |at| found.map(|state| dfa.match_pattern(state, at).as_usize()))
    }
}

/// The state after the text, if it is one that matches.
fn end_state(dfa: &dense::DFA<Vec<u32>>, text: &[u8]) -> Option<StateID> {
    let input = Input::new(text).anchored(Anchored::Yes);
    let mut state = dfa.start_state_forward(&input).ok()?;
    for byte in text {
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
