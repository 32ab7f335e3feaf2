//! `demo` without a command: run the example until somebody stops it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::child::Event;
use crate::cli::Options;
use crate::control::Control;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::plan::Plan;
use crate::ports::Ports;
use crate::screen::Screen;
use crate::signals::StopSignals;

/// How often the rows are made anew.
const REDRAW: Duration = Duration::from_secs(1);

/// Run until a signal comes or a process ends by itself, which is an error.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let Options { base_port, verbose, .. } = *options;
    let control = Control::bind(base_port)?;
    let plan = Plan::new(options, Ports::new(base_port))?;
    let mut signals = StopSignals::new()?;
    let mut screen = Screen::default();
    let (events, mut occurred) = mpsc::unbounded_channel();
    let fleet = Arc::new(Fleet::prepare(plan, events.clone()).await?);

    screen.say("starting the front proxy and one instance each of service1 and service2");
    let started = tokio::select! {
        started = fleet.start() => started.map(|()| None),
        signal = signals.next() => Ok(Some(signal)),
    };
    match started {
        Ok(None) => {}
        Ok(Some(signal)) => return stop(&fleet, &mut screen, &mut signals, signal).await,
        Err(failure) => {
            screen.say(&failure.to_string());
            return stop(&fleet, &mut screen, &mut signals, "not everything started")
                .await
                .and(Err(aborted()));
        }
    }
    screen.say(&what_to_try(fleet.ports(), base_port));
    let control = tokio::spawn(control.serve(Arc::clone(&fleet), events));

    let (rows_out, mut rows) = mpsc::channel(1);
    let poll = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move {
            while rows_out.send(fleet.rows().await).await.is_ok() {
                tokio::time::sleep(REDRAW).await;
            }
        }
    });
    let outcome = loop {
        tokio::select! {
            Some(rows) = rows.recv() => screen.show(rows),
            Some(event) = occurred.recv() => match event {
                Event::Line { name, line } if verbose => screen.say(&format!("{name}: {line}")),
                Event::Line { .. } => {}
                Event::Note(note) => screen.say(&note),
                Event::Ended(failure) => break Err(failure),
            },
            signal = signals.next() => break Ok(signal),
        }
    };
    control.abort();
    poll.abort();
    screen.finish();
    match outcome {
        Ok(signal) => stop(&fleet, &mut screen, &mut signals, signal).await,
        Err(failure) => {
            screen.say(&failure.to_string());
            stop(&fleet, &mut screen, &mut signals, "a process is missing").await.and(Err(aborted()))
        }
    }
}

/// The last line after an error that was printed when it happened.
fn aborted() -> Failure {
    Failure::new("ended because of the error above")
}

/// Stop everything; at once if a second signal comes.
async fn stop(
    fleet: &Fleet,
    screen: &mut Screen,
    signals: &mut StopSignals,
    reason: &str,
) -> Result<(), Failure> {
    screen.say(&format!("stopping ({reason}); Ctrl-C stops at once"));
    tokio::select! {
        complaints = fleet.stop() => {
            complaints.iter().for_each(|complaint| screen.say(&complaint.to_string()));
            screen.say("everything has stopped");
            Ok(())
        }
        _ = signals.next() => {
            fleet.kill();
            Err(Failure::new("everything was killed"))
        }
    }
}

fn what_to_try(ports: &Ports, base_port: Option<u16>) -> String {
    let Ports { http, https, admin, .. } = ports;
    let base = base_port.map_or(String::new(), |base| format!("--base-port {base} "));
    format!(
        "\nTry, from another terminal:
  curl -v localhost:{http}/service/1
  curl -v localhost:{http}/service/2
  curl -k -v https://localhost:{https}/service/1
  cargo demo -- {base}scale service1=3
  for i in 1 2 3; do curl -s localhost:{http}/service/1; done
  curl localhost:{admin}/stats
  curl localhost:{admin}/        (the admin page; for a browser, too)
Ctrl-C stops everything.\n"
    )
}
