//! Shows what came of a configuration: with the lines that problems are about on a terminal, a line for each elsewhere,
//! or as an object for programs.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use nuncio_config::{
    ConfigError, ConfigErrors, Loaded, Source, Warning, WarningKind,
    render::{Renderer, in_order, json},
    report::Report,
};
use serde_json::Value;

use crate::cli::{Common, Format};

/// Shows what came of one configuration.
#[derive(Debug)]
pub(crate) struct Show {
    sources: Vec<Source>,
    /// The file, as the command line names it; empty where there is none.
    file: String,
    format: Format,
    skip_deprecated: bool,
}

impl Show {
    pub(crate) fn new(common: &Common, sources: Vec<Source>) -> Self {
        let file = common.config_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        Self { sources, file, format: common.format, skip_deprecated: common.skip_deprecated_logs }
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether the user wants to hear of it.
    pub(crate) fn is_wanted(&self, warning: &Warning) -> bool {
        !(self.skip_deprecated && warning.kind == WarningKind::Deprecated)
    }

    /// Shows why nothing was started: to people on standard error, to programs on standard output.
    pub(crate) fn refuse(&self, mut errors: ConfigErrors) {
        errors.retain_warnings(|warning| self.is_wanted(warning));
        if self.format == Format::Json {
            return print(&lines_of(&json(&self.file, Err(&errors))));
        }
        let (listed, count, warnings) = (errors.errors().len(), errors.count(), errors.warnings());
        let mut shown = self.problems(errors.errors(), warnings);
        if count > listed {
            shown.push_str(&format!("({} more are not shown)\n", count - listed));
        }
        shown.push_str(&counted(count, "error"));
        if !warnings.is_empty() {
            shown.push_str(&format!(", {}", counted(warnings.len(), "warning")));
        }
        say(&format!("{shown}; nothing was started\n"));
    }

    /// Shows that a configuration can be run, and its warnings. The line begins as Envoy's.
    pub(crate) fn accept(&self, mut loaded: Loaded) {
        loaded.warnings.retain(|warning| self.is_wanted(warning));
        if self.format == Format::Json {
            return print(&lines_of(&json(&self.file, Ok(&loaded))));
        }
        let (bootstrap, warnings) = (&loaded.bootstrap, &loaded.warnings);
        say(&self.problems(&[], warnings));
        let mut counts = vec![
            counted(bootstrap.listeners.len(), "listener"),
            counted(bootstrap.clusters.len(), "cluster"),
            counted(bootstrap.route_count(), "route"),
        ];
        if !warnings.is_empty() {
            counts.push(counted(warnings.len(), "warning"));
        }
        print(&format!("configuration '{}' OK: {}\n", self.file, counts.join(", ")));
    }

    /// Shows the compatibility report, on standard output.
    pub(crate) fn report(&self, report: &mut Report) {
        report.retain_warnings(|warning| self.is_wanted(warning));
        match self.format {
            Format::Json => print(&lines_of(&report.to_json())),
            Format::Auto | Format::Pretty | Format::Plain => print(&report.to_string()),
        }
    }

    fn problems(&self, errors: &[ConfigError], warnings: &[Warning]) -> String {
        problems(&self.sources, self.format, errors, warnings)
    }
}

/// The problems of some texts in their order, as standard error shows them.
pub(crate) fn problems(
    sources: &[Source],
    format: Format,
    errors: &[ConfigError],
    warnings: &[Warning],
) -> String {
    let problems = in_order(sources, errors, warnings);
    let screen = Screen::of(format, &io::stderr());
    if !screen.pretty {
        return problems.iter().map(|problem| format!("{problem}\n")).collect();
    }
    let renderer = Renderer::new(sources).coloured(screen.coloured).width(screen.width);
    problems.iter().map(|problem| format!("{}\n", renderer.problem(problem))).collect()
}

/// How a stream shows what is for people.
struct Screen {
    pretty: bool,
    coloured: bool,
    width: usize,
}

impl Screen {
    fn of(format: Format, stream: &(impl IsTerminal + AsFd)) -> Self {
        /// Columns where there is no terminal to ask.
        const WIDTH: usize = 100;
        let terminal = stream.is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = rustix::termios::tcgetwinsize(stream).map_or(0, |size| usize::from(size.ws_col));
        Self {
            pretty: format == Format::Pretty || format == Format::Auto && terminal,
            coloured: terminal && !dumb && !is_set("NO_COLOR"),
            width: if columns == 0 { WIDTH } else { columns },
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn lines_of(object: &Value) -> String {
    format!("{object:#}\n")
}

/// To a reader who may have gone: nothing can be said to nobody.
fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
