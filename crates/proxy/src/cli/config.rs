//! `config`: what the binaries can do with a configuration besides running it.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Subcommand, ValueEnum, error::ErrorKind, parser::ValueSource};
use nuncio_config::{ConfigErrors, Format, Limits, LoadOptions, Source, convert, explain, schema};

use crate::{cli, show::problems};

const PATHS: &str = "\
A path starts at the bootstrap. What stands in brackets is passed over, so a path can be taken from an error as it is:

    static_resources.clusters[0].connect_timeout

Or it starts at a message, by its full name or by the part after the package:

    Cluster.connect_timeout
    envoy.config.cluster.v3.CircuitBreakers.Thresholds

Behind a typed_config stands the name of the extension's message. It can be left out where one supported extension \
alone has the field that follows:

    FilterChain.filters.typed_config.HttpConnectionManager.stat_prefix";

/// What is done in the place of running.
#[derive(Subcommand, Debug)]
pub enum Tool {
    /// Convert configurations, and look up what may stand in them
    Config {
        /// What to do
        #[command(subcommand)]
        command: Command,
    },
}

/// What can be done with a configuration.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write a configuration in its canonical v3 form to standard output
    ///
    /// Names are written in snake case, enum values in upper case, lists as lists, every extension with its full type;
    /// what is at its default is left out, comments and aliases go. Fields that this proxy does not support stay. A file of
    /// the v1 format becomes v3, and comments say what v3 does differently. The result is for Envoy as well.
    ///
    /// Private keys and other secrets of the file stand in the result as they are.
    Convert {
        /// The file to convert, YAML or JSON; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// The form of the result
        #[arg(long, value_enum, default_value_t = Form::Yaml)]
        format: Form,
    },

    /// Write a JSON Schema (2020-12) of the supported configuration to standard output
    ///
    /// For editors: with the YAML language server, a file whose first line is
    /// "# yaml-language-server: $schema=nuncio.schema.json" is checked while it is written. Fields that are not supported
    /// are not in the schema.
    Schema,

    /// Say what is known about a field or message: type, default, rules, and whether it is supported
    #[command(arg_required_else_help = true, after_help = PATHS)]
    Explain {
        /// The path of a field or the name of a message
        #[arg(value_name = "FIELD.PATH")]
        path: String,
    },
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

impl Tool {
    /// Does it, and gives the exit code.
    ///
    /// # Errors
    /// The sentence to print where it cannot be done.
    pub fn run(&self) -> Result<u8, String> {
        let Self::Config { command } = self;
        let output = match command {
            Command::Convert { file, format } => converted(file, *format)?,
            Command::Schema => {
                let schema = serde_json::to_string_pretty(&schema());
                schema.map_err(|error| format!("error: {error}"))? + "\n"
            }
            Command::Explain { path } => {
                let explanation = explain(path).map_err(|error| format!("error: {error}"))?;
                explanation.to_text(io::stdout().is_terminal())
            }
        };
        print(&output)
    }
}

/// Whoever gives flags of the proxy and a tool means one or the other.
pub(super) fn alone(matches: &ArgMatches, command: impl Fn() -> clap::Command) -> Result<(), clap::Error> {
    let is_given = |id: &clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let Some(tool) = matches.subcommand_name().filter(|_| matches.ids().any(is_given)) else { return Ok(()) };
    let message = format!("'{tool}' cannot be used with the flags that run a proxy");
    Err(command().error(ErrorKind::ArgumentConflict, message))
}

fn converted(file: &Path, form: Form) -> Result<String, String> {
    let format = match form {
        Form::Yaml => Format::Yaml,
        Form::Json => Format::Json,
    };
    let options = LoadOptions::default();
    let sources = [source(file, &options.limits)?];
    let [source] = &sources;
    let converted = convert(source, format, &options).map_err(|errors| refusal(&sources, &errors))?;
    let warnings = problems(&sources, cli::Format::Auto, &[], &converted.warnings);
    // Nobody can be told where standard error is closed.
    let _ = io::stderr().lock().write_all(warnings.as_bytes());
    Ok(converted.text)
}

fn refusal(sources: &[Source], errors: &ConfigErrors) -> String {
    let mut text = problems(sources, cli::Format::Auto, errors.errors(), errors.warnings());
    let count = errors.count();
    if count > errors.errors().len() {
        text += &format!("({} more are not shown)\n", count - errors.errors().len());
    }
    text + &match count {
        1 => "1 error; nothing was converted".to_owned(),
        _ => format!("{count} errors; nothing was converted"),
    }
}

/// A file, or standard input.
fn source(file: &Path, limits: &Limits) -> Result<Source, String> {
    let (name, source) = if file == Path::new("-") {
        let name = "(standard input)";
        (name.to_owned(), Source::from_reader(name, io::stdin().lock(), limits))
    } else {
        (file.display().to_string(), Source::read(file, limits))
    };
    source.map_err(|error| format!("error: cannot read {name}: {error}"))
}

/// A reader that has seen enough is no failure.
fn print(text: &str) -> Result<u8, String> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("error: cannot write to standard output: {error}"))
        }
        _ => Ok(0),
    }
}
