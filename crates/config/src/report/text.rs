//! The report as a text: what is not supported first, each message's fields together.

use std::fmt;

use super::{Report, Use, What, is_refused};
use crate::{model::Place, support::Support};

/// How many places are listed; the rest is counted.
const LISTED: usize = 3;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.count(is_refused);
        let guards = self.count(|support| support == Support::Guard);
        let no_effect = self.count(|support| matches!(support, Support::NoEffect(_)));
        let honoured = self.count(|support| support == Support::Honoured);
        write!(f, "compatibility of '{}': {honoured} honoured, {no_effect} without effect, ", self.file)?;
        write!(f, "{refused} unsupported")?;
        if guards > 0 {
            write!(f, " ({guards} of them refused always)")?;
        }
        match self.error_count {
            0 => writeln!(f)?,
            1 => writeln!(f, "; 1 mistake")?,
            count => writeln!(f, "; {count} mistakes")?,
        }
        self.section(f, "Unsupported, and refused", is_refused)?;
        if guards > 0 {
            writeln!(
                f,
                "  (what guards security is refused always: --allow-unsupported does not let it pass)"
            )?;
        }
        self.section(f, "Accepted without effect", |support| matches!(support, Support::NoEffect(_)))?;
        self.section(f, "Honoured", |support| support == Support::Honoured)?;
        if self.error_count > 0 {
            writeln!(f, "\nMistakes (what is in such a value may be missing above)")?;
            self.errors.iter().try_for_each(|error| writeln!(f, "  {error}"))?;
            let more = self.error_count - self.errors.len();
            if more > 0 {
                writeln!(f, "  and {more} more")?;
            }
        }
        if !self.warnings.is_empty() {
            writeln!(f, "\nWarnings")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  {warning}"))
    }
}

impl Report {
    /// The uses of one class, a paragraph for each message, in the order of the texts.
    fn section(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        is_wanted: impl Fn(Support) -> bool,
    ) -> fmt::Result {
        let uses: Vec<&Use> = self.uses.iter().filter(|used| is_wanted(used.support)).collect();
        if uses.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{title}")?;
        let mut groups: Vec<&str> = Vec::new();
        for used in &uses {
            let group = group(used);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        for name in groups {
            writeln!(f, "  {name}")?;
            let members: Vec<&Use> = uses.iter().filter(|used| group(used) == name).copied().collect();
            let width = members.iter().map(|used| label(used).chars().count()).max().unwrap_or(0);
            for used in members {
                writeln!(f, "    {:width$}  {}", label(used), self.places(used))?;
                if let Support::NoEffect(reason) = used.support {
                    writeln!(f, "      {reason}")?;
                }
            }
        }
        Ok(())
    }

    fn places(&self, used: &Use) -> String {
        let place = |place: &Place| match place.line {
            0 => place.source.to_string(),
            line if *place.source == *self.file => format!("{line}:{}", place.column),
            line => format!("{}:{line}:{}", place.source, place.column),
        };
        let listed: Vec<String> = used.places.iter().take(LISTED).map(place).collect();
        let more = used.count - listed.len();
        let end = if more > 0 { format!(" and {more} more") } else { String::new() };
        listed.join(", ") + &end
    }
}

fn group(used: &Use) -> &str {
    match &used.what {
        What::Field { message, .. } => message,
        What::Extension { .. } => "extensions",
        What::Value { .. } => "values of fields that are honoured",
    }
}

fn label(used: &Use) -> String {
    let name = match &used.what {
        What::Field { field, .. } => field,
        What::Extension { name } => name,
        What::Value { message } => message,
    };
    match (&used.what, used.support) {
        (What::Value { .. }, Support::Guard) => format!("{name} (refused always)"),
        (_, Support::Guard) => format!("{name} (guards security)"),
        _ => name.clone(),
    }
}
