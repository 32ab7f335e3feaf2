//! What is wrong with a text that is no YAML, in words for whoever wrote it.
//!
//! The parser says what it was looking for. What people do is simpler: a tab, a bracket or a quote that is not closed,
//! a colon that is missing, a template that nobody expanded. No part of the text is repeated.

use crate::tree::Mark;

const TEMPLATE: &str = "this looks like a template that was not expanded ({{ … }} or ${…})";

/// Where the mistake is and what it is, by what the parser found at `mark`.
pub(super) fn explain(text: &str, mark: Mark, found: &str) -> (Mark, String) {
    let line = text.lines().nth((mark.line() as usize).saturating_sub(1)).unwrap_or_default();
    if found.contains("tab")
        && let Some(tab) = tab_in_indentation(text, mark)
    {
        return (tab, "not valid YAML: indentation must be spaces, not a tab".to_owned());
    }
    if is_template(line) {
        return (mark, format!("not valid YAML: {TEMPLATE}"));
    }
    let told = match found {
        "simple key expected ':'" => "a colon after the key is missing, or the line does not belong here",
        "invalid indentation in multiline quoted scalar" => match open_quote(text, mark) {
            Some(quote) => {
                return (quote, "not valid YAML: the quote that begins here is not closed".to_owned());
            }
            None => found,
        },
        _ => found,
    };
    (mark, format!("not valid YAML: {told}"))
}

/// What is added to the complaint about a key that is no word.
pub(super) fn hint(text: &str, mark: Mark) -> String {
    let line = text.lines().nth((mark.line() as usize).saturating_sub(1)).unwrap_or_default();
    if is_template(line) { format!("; {TEMPLATE}") } else { String::new() }
}

fn is_template(line: &str) -> bool {
    let closed =
        |open: &str, close: &str| line.split_once(open).is_some_and(|(_, rest)| rest.contains(close));
    closed("{{", "}}") || closed("${", "}")
}

/// The tab that indents the line of the mistake, or the next one: the parser may notice it at the end of the line
/// before.
fn tab_in_indentation(text: &str, mark: Mark) -> Option<Mark> {
    let first = (mark.line() as usize).saturating_sub(1);
    text.lines().enumerate().skip(first).take(2).find_map(|(index, line)| {
        let indentation = line.split(|letter| letter != ' ' && letter != '\t').next()?;
        let tab = indentation.find('\t').filter(|_| indentation.len() < line.len())?;
        Some(Mark::new(index + 1, tab + 1, 1))
    })
}

/// The quote that was open at `mark`: the last line before it with a value that begins with a quote and has no other.
fn open_quote(text: &str, mark: Mark) -> Option<Mark> {
    let before: Vec<&str> = text.lines().take((mark.line() as usize).saturating_sub(1)).collect();
    let (index, line) = before.iter().enumerate().rev().find(|(_, line)| line.contains(['"', '\'']))?;
    let at = line.find(['"', '\''])?;
    let quote = line.get(at..)?.chars().next()?;
    let once = line.matches(quote).count() == 1;
    once.then(|| Mark::new(index + 1, line.get(..at).map_or(0, |start| start.chars().count()) + 1, 1))
}
