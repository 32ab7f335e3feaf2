//! `demo compose-check`: the example in containers, from `deploy/compose`, step by step.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::admin::{self, Stats};
use crate::check::{FIRST_REQUEST, LOAD_MARGIN, RATE, seconds};
use crate::client;
use crate::failure::Failure;
use crate::files;
use crate::load::Load;
use crate::ports::Ports;
use crate::report::Report;
use crate::signals::StopSignals;
use crate::steps::{self, Example};

/// The folder with the compose file, as it stands in the repository.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/compose");
/// How long the containers may take until both services answer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long new containers may take until the front proxy balances over them: their start, the refresh interval of
/// 5 s, and slack for a busy engine.
const SCALE_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Run every step; whether all passed, also if there is no engine and nothing was run.
pub async fn run() -> Result<bool, Failure> {
    let mut signals = StopSignals::new()?;
    let compose = match Compose::find().await {
        Ok(compose) => compose,
        Err(reason) => {
            crate::screen::print(&format!("compose check: skipped, {reason}\n"));
            return Ok(true);
        }
    };
    let front_config = files::read(&compose.folder.join("front-envoy.yaml"))?;
    let certificate = steps::certificate(&front_config)?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ports { http, https, admin, .. } = compose.ports;
    let mut example = Example {
        http: local(http),
        https: local(https),
        admin: local(admin),
        certificate,
        sent: [0; 2],
        unrouted: 0,
        base: Stats::new(),
    };
    let mut report = Report::default();
    let outcome = tokio::select! {
        outcome = steps(&compose, &mut example, &mut report) => outcome,
        signal = signals.next() => Err(Failure::new(format!("stopped by {signal}"))),
    };
    if outcome.is_err() {
        // What the containers wrote says most about a failure, and is gone afterwards.
        if let Ok(logs) = compose.call(&["logs", "--no-color", "--tail", "30"]).await {
            eprintln!("\n{logs}");
        }
    }
    report.progress("taking the containers down");
    let down = compose.down().await;
    if outcome.is_ok() {
        report.row("docker-compose down", "no container, network or image is left", down);
    } else {
        if let Err(reason) = down {
            eprintln!("{reason}");
        }
        report.aborted();
    }
    let passed = report.finish();
    outcome.map(|()| passed)
}

async fn steps(compose: &Compose, example: &mut Example, report: &mut Report) -> Result<(), Failure> {
    compose.build_binaries().await?;
    report.progress("building the images and starting the containers");
    let started = Instant::now();
    compose.call(&["up", "-d", "--build"]).await?;
    wait_for_services(example).await?;
    report.row(
        "docker-compose up -d --build",
        "front proxy and both services answer",
        Ok(format!("after {}", seconds(started.elapsed()))),
    );
    let requests = |(name, _): &(String, u64)| name.contains("_rq_") || name.ends_with(".no_route");
    example.base = admin::stats(example.admin, "").await?.into_iter().filter(requests).collect();

    example.routing(report).await;
    scale_up(compose, example, report).await?;
    example.round_robin(report, 3, true).await;
    example.round_robin(report, 3, false).await;
    example.stats(report, 3, None).await;
    example.admin_page(report).await;
    Ok(())
}

/// Wait until a request to each service succeeds.
async fn wait_for_services(example: &Example) -> Result<(), Failure> {
    let answer = async {
        for path in ["/service/1", "/service/2"] {
            while !client::get(example.http, path).await.is_ok_and(|answer| answer.status.is_success()) {
                tokio::time::sleep(POLL).await;
            }
        }
    };
    tokio::time::timeout(START_LIMIT, answer)
        .await
        .map_err(|_| Failure::new(format!("the services did not answer within {} s", START_LIMIT.as_secs())))
}

async fn scale_up(compose: &Compose, example: &mut Example, report: &mut Report) -> Result<(), Failure> {
    report.progress(&format!(
        "scaling to service1=3 with {RATE} requests/s; the front proxy looks into DNS every 5 s"
    ));
    let load = Load::start(example.http, "/service/1", RATE);
    tokio::time::sleep(LOAD_MARGIN).await;
    let started = Instant::now();
    compose.call(&["up", "-d", "--scale", "service1=3"]).await?;
    let found = async {
        while admin::stats(example.admin, "?filter=service1.membership_total")
            .await
            .is_ok_and(|stats| stats.get("cluster.service1.membership_total") != Some(&3))
        {
            tokio::time::sleep(POLL).await;
        }
    };
    let found = tokio::time::timeout(SCALE_LIMIT, found).await;
    let seen = format!("after {}", seconds(started.elapsed()));
    let expected = format!("in effect within {}, found by DNS", seconds(SCALE_LIMIT));
    let seen = if found.is_ok() { Ok(seen) } else { Err(seen) };
    report.row("docker-compose up -d --scale service1=3", &expected, seen);

    // Whether all have answered is in the row below.
    let _ = tokio::time::timeout(FIRST_REQUEST, load.wait_for_hosts(3)).await;
    tokio::time::sleep(LOAD_MARGIN).await;
    let tally = load.stop().await;
    example.sent[0] += tally.sent;
    tally.report(report, "load during service1=3", RATE, 3);
    Ok(())
}

/// The compose program, and the project that this check makes with it.
struct Compose {
    folder: PathBuf,
    /// `docker-compose`, or `docker compose`.
    program: &'static [&'static str],
    project: String,
    ports: Ports,
}

impl Compose {
    /// The program, if there is one and its engine answers; or else why not.
    async fn find() -> Result<Self, String> {
        let engine = output(&["docker", "version", "--format", "{{.Server.Version}}"], &[]).await;
        engine.map_err(|reason| format!("no container engine answers: {reason}"))?;
        let mut found = None;
        for program in [&["docker-compose"][..], &["docker", "compose"]] {
            if found.is_none() && output(&[program, &["version"]].concat(), &[]).await.is_ok() {
                found = Some(program);
            }
        }
        let program = found.ok_or("there is neither docker-compose nor the compose plugin of docker")?;
        let base = Ports::free_base().map_err(|failure| failure.to_string())?;
        Ok(Self {
            folder: Path::new(FOLDER).to_owned(),
            program,
            project: format!("nuncio-check-{}", std::process::id()),
            ports: Ports::new(Some(base)),
        })
    }

    /// Run the folder's own script, which shows its progress.
    async fn build_binaries(&self) -> Result<(), Failure> {
        let script = self.folder.join("build");
        let status = Command::new(&script).stdout(Stdio::null()).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("{} failed ({status}); see above", script.display()))),
            Err(error) => Err(Failure::new(format!("{} cannot be started: {error}", script.display()))),
        }
    }

    /// Run one command of the compose program and return what it wrote.
    async fn call(&self, arguments: &[&str]) -> Result<String, Failure> {
        let folder = self.folder.to_string_lossy();
        let project = ["--project-directory", &*folder, "--project-name", &*self.project];
        let file = format!("{folder}/docker-compose.yaml");
        let command = [self.program, &["--file", &file], &project, arguments].concat();
        let Ports { http, https, admin, .. } = self.ports;
        let variables = [("FRONT_HTTP_PORT", http), ("FRONT_HTTPS_PORT", https), ("FRONT_ADMIN_PORT", admin)];
        output(&command, &variables).await.map_err(|reason| {
            Failure::new(format!("{} {}: {reason}", self.program.join(" "), arguments.join(" ")))
        })
    }

    /// Remove everything that the project has made, and look for what is left.
    async fn down(&self) -> Result<String, String> {
        self.call(&["down", "--rmi", "local", "--volumes", "--remove-orphans"])
            .await
            .map_err(|failure| failure.to_string())?;
        let label = format!("label=com.docker.compose.project={}", self.project);
        let reference = format!("reference={}*", self.project);
        for list in [
            &["docker", "ps", "--all", "--quiet", "--filter", &label][..],
            &["docker", "network", "ls", "--quiet", "--filter", &label],
            &["docker", "images", "--quiet", "--filter", &reference],
        ] {
            let left = output(list, &[]).await?;
            if !left.trim().is_empty() {
                return Err(format!("{} lists {}", list.join(" "), left.trim()));
            }
        }
        Ok("nothing is left".to_owned())
    }
}

/// Run a command in a process group of its own, so that a Ctrl-C does not break off taking things down.
async fn output(command: &[&str], variables: &[(&str, u16)]) -> Result<String, String> {
    let (program, arguments) = command.split_first().ok_or("there is no command")?;
    let variables = variables.iter().map(|(name, value)| (name, value.to_string()));
    let Output { status, stdout, stderr } = Command::new(program)
        .args(arguments)
        .envs(variables)
        .stdin(Stdio::null())
        .process_group(0)
        .output()
        .await
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&stderr).trim()))
    }
}
