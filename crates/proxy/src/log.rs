//! The program's log: Envoy's levels, component names and line shape over `tracing` events.

mod pattern;

use std::{
    fmt::{self, Write as _},
    fs::OpenOptions,
    path::Path,
    str::FromStr,
    sync::Mutex,
};

use tracing::{Event, Level, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, writer::BoxMakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use self::pattern::Pattern;

/// Envoy's default for `--log-format`.
pub(crate) const DEFAULT_FORMAT: &str = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v";

/// Which component of Envoy's a module stands for. The first prefix of an event's target that fits decides.
const COMPONENTS: &[(&str, &str)] = &[
    ("nuncio_admin", "admin"),
    ("nuncio_cluster::discovery", "dns"),
    ("nuncio_cluster::pool", "pool"),
    ("nuncio_cluster", "upstream"),
    ("nuncio_config", "config"),
    ("nuncio_http::router", "router"),
    ("nuncio_http", "http"),
    ("nuncio_listener", "conn_handler"),
    ("nuncio_router", "router"),
    ("nuncio_tls", "connection"),
    ("nuncio_proxy::access_log", "file"),
    ("nuncio_proxy", "main"),
    ("hickory", "dns"),
    ("h2", "http2"),
    ("hyper", "http"),
    ("rustls", "connection"),
];

/// What `--log-level` and its companions ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions<'a> {
    /// `--log-level`.
    pub(crate) level: &'a str,
    /// `--component-log-level`.
    pub(crate) component_levels: &'a str,
    /// `--log-format`.
    pub(crate) format: &'a str,
    /// `--log-format-escaped`.
    pub(crate) escaped: bool,
    /// `--log-path`.
    pub(crate) path: Option<&'a Path>,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Not one of Envoy's levels.
    #[error("unknown log level \"{0}\"; expected trace, debug, info, warning, warn, error, critical or off")]
    Level(String),
    /// Not `component:level`.
    #[error("--component-log-level: expected COMPONENT:LEVEL, found \"{0}\"")]
    ComponentLevel(String),
    /// Not a component that there is.
    #[error("--component-log-level: there is no component \"{name}\"; there are: {known}", known = components().join(", "))]
    Component {
        /// What was given.
        name: String,
    },
    /// A flag in the format that is not known.
    #[error("--log-format: \"%{0}\" is not supported")]
    Format(char),
    /// The file cannot be opened.
    #[error("--log-path: cannot open {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A program that embeds the proxy has set up a log already.
    #[error("a log is set up already")]
    Twice,
}

/// Sets up the log of the process.
///
/// # Errors
/// Where an option cannot be honoured.
pub(crate) fn init(options: &LogOptions<'_>) -> Result<(), LogError> {
    let filter = filter(options.level, options.component_levels)?;
    let pattern = Pattern::parse(options.format).map_err(LogError::Format)?;
    let writer = match options.path {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|error| LogError::File { path: path.display().to_string(), error })?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { pattern, escaped: options.escaped })
        .with_writer(writer);
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| LogError::Twice)
}

fn filter(level: &str, component_levels: &str) -> Result<Targets, LogError> {
    let mut filter = Targets::new().with_default(parse_level(level)?);
    for pair in component_levels.split(',').filter(|pair| !pair.is_empty()) {
        let (name, level) = pair.split_once(':').ok_or_else(|| LogError::ComponentLevel(pair.to_owned()))?;
        let level = parse_level(level)?;
        if !COMPONENTS.iter().any(|(_, component)| *component == name) {
            return Err(LogError::Component { name: name.to_owned() });
        }
        let targets = COMPONENTS.iter().filter(|(_, component)| *component == name);
        filter = filter.with_targets(targets.map(|(target, _)| (*target, level)));
    }
    Ok(filter)
}

fn parse_level(text: &str) -> Result<LevelFilter, LogError> {
    match text {
        "warning" => Ok(LevelFilter::WARN),
        // Nothing is logged as critical: what ends the program is said on standard error.
        "critical" | "off" => Ok(LevelFilter::OFF),
        "trace" | "debug" | "info" | "warn" | "error" => {
            LevelFilter::from_str(text).map_err(|_| LogError::Level(text.to_owned()))
        }
        _ => Err(LogError::Level(text.to_owned())),
    }
}

fn components() -> Vec<&'static str> {
    let mut names: Vec<&str> = COMPONENTS.iter().map(|(_, component)| *component).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn component(target: &str) -> &'static str {
    COMPONENTS
        .iter()
        .find(|(prefix, _)| target.starts_with(prefix))
        .map_or("misc", |(_, component)| component)
}

/// Prints each event as one line.
struct Lines {
    pattern: Pattern,
    escaped: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        let mut text = message.text;
        text.push_str(&message.fields);
        if self.escaped {
            text = text.escape_debug().to_string();
        }
        let metadata = event.metadata();
        self.pattern.write(
            &mut writer,
            &pattern::Line {
                time: std::time::SystemTime::now(),
                level: level_name(*metadata.level()),
                component: component(metadata.target()),
                file: metadata.file().unwrap_or_default(),
                line: metadata.line().unwrap_or_default(),
                message: &text,
            },
        )?;
        writer.write_char('\n')
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warning",
        Level::ERROR => "error",
    }
}

/// The message of an event, and its other fields as ` name=value`.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.text, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_envoys_names() {
        fn check(text: &str, expected: Option<LevelFilter>) {
            assert_eq!(parse_level(text).ok(), expected, "{text}");
        }
        check("trace", Some(LevelFilter::TRACE));
        check("warning", Some(LevelFilter::WARN));
        check("warn", Some(LevelFilter::WARN));
        check("critical", Some(LevelFilter::OFF));
        check("off", Some(LevelFilter::OFF));
        check("INFO", None);
        check("4", None);
        check("", None);
    }

    #[test]
    fn components_have_levels_of_their_own() {
        let filter = filter("warning", "upstream:debug,admin:off").unwrap();
        let check = |target: &str, level: Level, expected: bool| {
            assert_eq!(filter.would_enable(target, &level), expected, "{target} {level}");
        };
        check("nuncio_cluster", Level::DEBUG, true);
        check("nuncio_cluster::host", Level::DEBUG, true);
        check("nuncio_http", Level::INFO, false);
        check("nuncio_http", Level::WARN, true);
        check("nuncio_admin::server", Level::ERROR, false);
    }

    #[test]
    fn component_levels_that_cannot_be_meant_are_refused() {
        fn check(text: &str, expected: &str) {
            assert!(filter("info", text).unwrap_err().to_string().contains(expected), "{text}");
        }
        check("upstream", "expected COMPONENT:LEVEL");
        check("upstream:loud", "unknown log level \"loud\"");
        check("bogus:info", "there is no component \"bogus\"; there are: admin, ");
    }

    #[test]
    fn targets_map_to_components() {
        assert_eq!(component("nuncio_admin::server"), "admin");
        assert_eq!(component("nuncio_proxy::server"), "main");
        assert_eq!(component("somebody_else"), "misc");
    }
}
