//! The binaries' `main`: from the command line to an exit code.

use std::{
    ffi::OsString,
    future::pending,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use nuncio_config::{
    ConfigError, ConfigErrors, ErrorKind, Limits, LoadOptions, Loaded, Source, load_and_check, model::Place,
    report::report,
};
use nuncio_tls::Crypto;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    access_log::FlushOptions,
    child::Application,
    cli::{Common, Invocation, Mode},
    log::{self, LogOptions},
    server::{self, Options, Running},
    show::Show,
};

/// The exit code where a start was refused, or where a server ended by itself.
const FAILURE: u8 = 1;

/// `main` of the front proxy.
pub fn main_front_proxy(crypto: Crypto) -> ExitCode {
    run(Invocation::front_proxy(std::env::args_os()), crypto)
}

/// `main` of the sidecar.
pub fn main_sidecar(crypto: Crypto) -> ExitCode {
    run(Invocation::sidecar(std::env::args_os()), crypto)
}

fn run(invocation: Result<Invocation, clap::Error>, crypto: Crypto) -> ExitCode {
    let started = Instant::now();
    let invocation = match invocation {
        Ok(invocation) => invocation,
        Err(error) => {
            // Nothing can be said where the streams are closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(FAILURE));
        }
    };
    match invoke(&invocation, crypto, started) {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(FAILURE)
        }
    }
}

fn invoke(invocation: &Invocation, crypto: Crypto, started: Instant) -> Result<u8, String> {
    if let Some(tool) = &invocation.tool {
        return tool.run();
    }
    let common = &invocation.common;
    if common.hot_restart_version {
        println!("disabled");
        return Ok(0);
    }
    if let (true, Some(text)) = (invocation.print_config, &invocation.generated) {
        print!("{text}");
        return Ok(0);
    }
    let show = match sources(invocation)? {
        Ok(sources) => Show::new(common, sources),
        Err(errors) => {
            Show::new(common, Vec::new()).refuse(errors);
            return Ok(FAILURE);
        }
    };
    log::init(&LogOptions {
        level: &common.log_level,
        component_levels: &common.component_log_level,
        format: &common.log_format,
        escaped: common.log_format_escaped,
        path: common.log_path.as_deref(),
    })
    .map_err(|error| format!("error: {error}"))?;
    for (flag, reason) in &invocation.no_effect {
        eprintln!("note: {flag} changes nothing: {reason}");
    }
    let options = LoadOptions {
        allow_unsupported: common.allow_unsupported,
        allow_unknown_static_fields: common.allow_unknown_static_fields,
        ..LoadOptions::default()
    };
    let check = |bootstrap: &_| server::check(bootstrap, &crypto);
    if common.report {
        let mut report = report(show.sources(), &options, check);
        show.report(&mut report);
        return Ok(if report.is_supported() { 0 } else { FAILURE });
    }
    let mut loaded = match load_and_check(show.sources(), &options, check) {
        Ok(loaded) => loaded,
        Err(errors) => {
            show.refuse(errors);
            return Ok(FAILURE);
        }
    };
    if common.mode == Mode::Validate {
        show.accept(loaded);
        return Ok(0);
    }
    for warning in loaded.warnings.iter().filter(|warning| show.is_wanted(warning)) {
        tracing::warn!(target: "nuncio_config", "{warning}");
    }
    override_node(&mut loaded, common);
    let options = Options {
        workers: common.workers(),
        flush: FlushOptions {
            interval: Duration::from_millis(common.file_flush_interval_msec.max(1).into()),
            bytes: (common.file_flush_min_size_kb as usize).saturating_mul(1024),
        },
        crypto,
        share_ports: common.shares_ports(),
        admin_address_path: common.admin_address_path.clone(),
        command_line: common.command_line_options(),
        started,
    };
    // Of this thread's own, because signals must be watched before anything starts.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("error: cannot start a runtime: {error}"))?;
    runtime.block_on(async {
        let signals = Signals::new().map_err(|error| format!("error: cannot watch signals: {error}"))?;
        let running = match server::start(&loaded, &options) {
            Ok(running) => running,
            Err(errors) => {
                show.refuse(errors);
                return Ok(FAILURE);
            }
        };
        drop(show);
        nuncio_config::release_schema();
        serve(&running, signals, common, &invocation.command).await
    })
}

/// The texts to load, in the order in which they are merged, or why they cannot be had.
fn sources(invocation: &Invocation) -> Result<Result<Vec<Source>, ConfigErrors>, String> {
    let common = &invocation.common;
    let mut sources = Vec::new();
    if let Some(path) = &common.config_path {
        match Source::read(path, &Limits::default()) {
            Ok(source) => sources.push(source),
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::FileTooLarge => ErrorKind::Limit,
                    io::ErrorKind::InvalidData => ErrorKind::Syntax,
                    _ => ErrorKind::Machine,
                };
                let place = Place { source: path.display().to_string().into(), ..Place::default() };
                let message = format!("cannot be read: {error}");
                return Ok(Err(ConfigErrors::of(vec![ConfigError { place, kind, message }])));
            }
        }
    }
    if !common.config_yaml.is_empty() {
        sources.push(Source::new("--config-yaml", &*common.config_yaml));
    }
    if let Some(text) = &invocation.generated {
        sources.push(Source::new("(flags)", &**text));
    }
    if sources.is_empty() {
        return Err("error: nothing to run: give a configuration with -c FILE or --config-yaml TEXT, or let --listen \
                    and its companions make one (see --help)"
            .to_owned());
    }
    Ok(Ok(sources))
}

/// The command line's word on who this server is counts more than the file's.
fn override_node(loaded: &mut Loaded, common: &Common) {
    let node = &mut loaded.bootstrap.node;
    for (field, given) in [
        (&mut node.cluster, &common.service_cluster),
        (&mut node.id, &common.service_node),
        (&mut node.zone, &common.service_zone),
    ] {
        if let Some(given) = given {
            field.clone_from(given);
        }
    }
}

/// Watches the server, the signals and the application until all is over.
async fn serve(
    running: &Running,
    mut signals: Signals,
    common: &Common,
    command: &[OsString],
) -> Result<u8, String> {
    let server = running.handle();
    let mut application: Option<Application> = None;
    let mut live = false;
    let mut asked_to_end = false;
    loop {
        tokio::select! {
            result = server.live(), if !live => {
                live = true;
                match result {
                    Err(error) if !asked_to_end => return Err(format!("error: {error}")),
                    Err(_) => return Ok(0),
                    Ok(()) if common.mode == Mode::InitOnly => return end_now(running).await,
                    Ok(()) => {}
                }
                if !command.is_empty() && !asked_to_end {
                    match Application::start(command) {
                        Ok(started) => application = Some(started),
                        Err(reason) => {
                            end_now(running).await?;
                            return Err(format!("error: {reason}"));
                        }
                    }
                }
            }
            result = server.ended(), if live => {
                return match (result, application) {
                    // The application may take longer than the last connection.
                    (Ok(()), Some(mut application)) => {
                        if !asked_to_end {
                            // The admin server was told to end all this.
                            application.signal(Signal::TERM);
                        }
                        Ok(until_ended(&mut application, &mut signals).await)
                    }
                    (Ok(()), None) => Ok(0),
                    (Err(error), application) => {
                        drop(application);
                        Err(format!("error: {error}"))
                    }
                };
            }
            code = ended(&mut application) => {
                tracing::info!("the application has ended with exit code {code}");
                // Its last responses may still be on their way to their clients.
                server.drain(server::QUIT_DRAIN);
                let _ = server.ended().await;
                return Ok(code);
            }
            signal = signals.next() => {
                if let Some(application) = &application
                    && signal != Signal::USR1
                {
                    application.signal(signal);
                }
                match signal {
                    Signal::HUP if application.is_some() => continue,
                    Signal::USR1 => {
                        server.reopen_logs();
                        continue;
                    }
                    _ => {}
                }
                if asked_to_end {
                    tracing::warn!("a second signal: ending at once");
                    if let Some(application) = &application {
                        application.signal(Signal::KILL);
                    }
                    end_now(running).await?;
                    return Ok(128_u8.saturating_add(u8::try_from(signal.as_raw()).unwrap_or(0)));
                }
                asked_to_end = true;
                let at_most = common.drain_time();
                tracing::warn!(
                    "draining for at most {} s after {}; a second signal ends at once",
                    at_most.as_secs(),
                    name(signal),
                );
                server.drain(at_most);
            }
        }
    }
}

async fn end_now(running: &Running) -> Result<u8, String> {
    running.handle().stop();
    running.handle().ended().await.map_err(|error| format!("error: {error}"))?;
    Ok(0)
}

/// Waits for an application after its server has ended. It has been asked to end by then, so a further signal to end
/// kills it.
async fn until_ended(application: &mut Application, signals: &mut Signals) -> u8 {
    loop {
        tokio::select! {
            code = application.ended() => return code,
            signal = signals.next() => match signal {
                Signal::USR1 => {}
                Signal::HUP => application.signal(signal),
                _ => application.signal(Signal::KILL),
            }
        }
    }
}

async fn ended(application: &mut Option<Application>) -> u8 {
    match application {
        Some(application) => application.ended().await,
        None => pending().await,
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::TERM => "SIGTERM",
        Signal::INT => "SIGINT",
        _ => "SIGHUP",
    }
}

/// The signals that end the program, are passed on, or mean that log files were moved away (SIGUSR1, as in Envoy).
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    user1: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.hang_up.recv() => Signal::HUP,
            _ = self.user1.recv() => Signal::USR1,
        }
    }
}
