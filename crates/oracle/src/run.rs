//! Runs a case in one proxy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    Result, admin,
    case::{Case, Exchange},
    client::Client,
    compare::Expected,
    normal::Normal,
    origin::Origins,
    pattern,
    ports::Reserved,
    progress,
    proxy::{Folder, Program, Proxy},
    seen::{Response, Seen},
};

/// How many exchanges one proxy process serves. They wait more than they work, so several processes run at a time.
const EXCHANGES_PER_PROXY: usize = 8;

/// How many processes run at a time.
static PROCESSES: Semaphore = Semaphore::const_new(24);

/// How long the log and the stats must not have changed before they count as complete: Envoy writes its log late, and a
/// worker that has to wait for the machine counts late.
const CALM: Duration = Duration::from_secs(1);

/// The same where something is missing from what is expected.
const CALM_IF_UNEXPECTED: Duration = Duration::from_millis(2_000);

/// The end of the name of the stat that counts connections which were closed after a delay.
pub(crate) const DELAYED_CLOSE: &str = ".downstream_cx_delayed_close_timeout";

/// What a proxy showed in a case.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Each exchange by its name.
    pub exchanges: BTreeMap<String, Seen>,
    /// The names of all counters and gauges that it has.
    pub names: BTreeSet<String>,
}

/// Runs the exchanges that `wanted` picks.
///
/// # Errors
/// Where the proxy cannot be run, or a script makes no sense.
pub async fn run(
    case: &Case,
    program: &Program,
    cases: &Path,
    wanted: impl Fn(&str) -> bool,
    expected: Option<&Expected>,
) -> Result<Answers> {
    let mut groups: Vec<Vec<Exchange>> = Vec::new();
    let mut continues = false;
    for exchange in case.exchanges.iter().filter(|exchange| wanted(&exchange.name)) {
        match groups.last_mut() {
            Some(group) if continues || group.len() < EXCHANGES_PER_PROXY => group.push(exchange.clone()),
            _ => groups.push(vec![exchange.clone()]),
        }
        continues = exchange.keep_upstream;
    }
    let mut running = Vec::new();
    for group in groups {
        progress::planned(group.len());
        let (case, program, cases) = (case.clone(), program.clone(), cases.to_owned());
        let expected = expected.cloned();
        running.push(tokio::spawn(async move {
            run_group(&case, &group, &program, &cases, expected.as_ref()).await
        }));
    }
    let mut answers = Answers::default();
    for group in running {
        let Answers { exchanges, names } = group.await??;
        answers.exchanges.extend(exchanges);
        answers.names.extend(names);
    }
    Ok(answers)
}

async fn run_group(
    case: &Case,
    group: &[Exchange],
    program: &Program,
    cases: &Path,
    expected: Option<&Expected>,
) -> Result<Answers> {
    let _permit = PROCESSES.acquire().await?;
    let folder = Folder::new()?;
    let origins = Origins::start(&case.origins).await?;
    let mut reserved = BTreeMap::new();
    let config = configuration(case, cases, &folder, &origins, &mut reserved)?;
    let proxy = Proxy::start(program, &config, &folder).await?;
    let ports = origins.ports.iter().map(|(name, port)| (name.as_str(), *port));
    let ours = reserved.iter().map(|(name, reserved)| (name.as_str(), reserved.port));
    let normal = Normal::new(ports.chain(ours), case.client_address_is_told);
    let mut log = Log::new(&folder);

    let mut all = Answers::default();
    let names = |names: Vec<String>| names.iter().map(|name| normal.line(name)).collect::<Vec<_>>();
    all.names.extend(names(admin::names(proxy.admin).await?));
    let mut before = calm_stats(proxy.admin).await?;
    for exchange in group {
        let address = match reserved.get(&exchange.to) {
            Some(reserved) => SocketAddr::from(([127, 0, 0, 1], reserved.port)),
            None if exchange.to == "admin" => proxy.admin,
            None => return Err(format!("the configuration has no {:?}", exchange.to).into()),
        };
        origins.begin(&exchange.origin);
        let told = |error| format!("{}, {}, {}: {error}", program.name(), case.name, exchange.name);
        let closes = expected.and_then(|it| it.closes(&exchange.name));
        let answers = expected.is_some_and(|it| it.answers(&exchange.name));
        let client = Client { exchange, closes, answers };
        let (responses, connection) = client.run(address, &origins).await.map_err(told)?;
        let origin = origins.end().await;
        if !exchange.keep_upstream {
            origins.close_idle().await;
        }
        admin::idle(proxy.admin, exchange.keep_upstream).await.map_err(told)?;
        let seen = Seen { responses, connection, origin, ..Seen::default() };
        let mut last = ([Vec::new(), Vec::new()], admin::Stats::new());
        let mut since = Instant::now();
        let seen = loop {
            let now = (log.lines(), admin::stats(proxy.admin).await.map_err(told)?);
            if now == last {
                let seen = complete(case, exchange, &seen, &before, &now, &normal);
                let met = expected.map(|it| it.is_met(&exchange.name, &seen, &all.names));
                let calm = if met == Some(false) { CALM_IF_UNEXPECTED } else { CALM };
                if met == Some(true) || since.elapsed() >= calm {
                    break seen;
                }
            } else {
                last = now;
                since = Instant::now();
            }
            sleep(Duration::from_millis(10)).await;
        };
        log.take(&last.0);
        all.exchanges.insert(exchange.name.clone(), seen);
        before = last.1;
        progress::done();
    }
    all.names.extend(names(admin::names(proxy.admin).await?));
    Ok(all)
}

/// The stats of a proxy that has nothing to do, once they no longer change.
async fn calm_stats(admin: SocketAddr) -> Result<admin::Stats> {
    admin::idle(admin, false).await?;
    let mut last = admin::stats(admin).await?;
    for _ in 0..20 {
        sleep(Duration::from_millis(20)).await;
        let now = admin::stats(admin).await?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// Adds log and stats to what was seen, and takes out what differs from run to run.
fn complete(
    case: &Case,
    exchange: &Exchange,
    seen: &Seen,
    before: &admin::Stats,
    (log, after): &([Vec<String>; 2], admin::Stats),
    normal: &Normal,
) -> Seen {
    let mut seen = Seen { log: log.concat(), ..seen.clone() };
    let stats = after.iter().map(|(name, value)| {
        let change = value - before.get(name).copied().unwrap_or_default();
        (name.clone(), change)
    });
    seen.stats = stats.filter(|(_, change)| *change != 0).collect();
    adjust(&mut seen.stats, after, exchange, &seen.responses);
    normal.seen(&mut seen);
    if exchange.unordered {
        sort(&mut seen);
    }
    let varies = |name: &str| case.vary.iter().chain(&exchange.vary).any(|p| pattern::matches(p, name));
    seen.stats.retain(|name, _| !varies(name));
    if seen.connection.fate == "closed" && seen.stats.keys().any(|name| name.ends_with(DELAYED_CLOSE)) {
        // The proxy says so itself, though the machine was too busy to see it by the clock.
        seen.connection.fate = "closed after a delay".to_owned();
    }
    seen
}

/// Puts what came at the same time into an order of its own.
fn sort(seen: &mut Seen) {
    seen.log.sort();
    seen.origin.sort_by(|a, b| a.head.cmp(&b.head));
    let mut connections = Vec::new();
    for request in &mut seen.origin {
        let known = connections.iter().position(|number| *number == request.connection);
        connections.extend(known.is_none().then_some(request.connection));
        request.connection = known.unwrap_or(connections.len() - 1) + 1;
    }
}

/// Takes out what differs without being a difference: HTTP/2 can say one thing in more or fewer bytes, and a
/// duration can have more digits.
fn adjust(stats: &mut admin::Stats, after: &admin::Stats, exchange: &Exchange, responses: &[Response]) {
    stats.retain(|name, _| {
        let Some((owner, _)) = name.split_once("stream_cx_").filter(|_| name.contains("x_bytes_")) else {
            return true;
        };
        let http2 = match owner.strip_suffix("up") {
            Some(cluster) => {
                after.get(&format!("{cluster}upstream_cx_http2_total")).is_some_and(|total| *total > 0)
            }
            None => exchange.http2,
        };
        !http2
    });
    let extra_digits = |response: &Response| {
        let value = crate::http1::header(&response.head, "x-envoy-upstream-service-time");
        value.map_or(0, |value| value.len() as i64 - 1)
    };
    let extra: i64 = responses.iter().map(extra_digits).sum();
    for (_, change) in stats.iter_mut().filter(|(name, _)| name.ends_with(".downstream_cx_tx_bytes_total")) {
        *change -= extra;
    }
}

/// The case's configuration with its placeholders filled in.
fn configuration(
    case: &Case,
    cases: &Path,
    folder: &Folder,
    origins: &Origins,
    reserved: &mut BTreeMap<String, Reserved>,
) -> Result<String> {
    let path = cases.join(&case.config);
    let mut text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    for (from, to) in &case.replace {
        if !text.contains(from) {
            return Err(format!("{}: {from:?} is not in {}", case.name, case.config).into());
        }
        text = text.replace(from, to);
    }
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("a placeholder is not closed")?;
        filled.push_str(before);
        match name {
            "access_log" | "details_log" => filled.push_str(&folder.file(name).to_string_lossy()),
            "certificate" | "key" => filled.push_str(&certificate(folder, name)?),
            _ => {
                let port = match (origins.ports.get(name), reserved.get(name)) {
                    (Some(port), _) => *port,
                    (None, Some(reserved)) => reserved.port,
                    (None, None) => {
                        let new = if name == "silent" { Reserved::silent()? } else { Reserved::new()? };
                        reserved.entry(name.to_owned()).or_insert(new).port
                    }
                };
                filled.push_str(&port.to_string());
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The path of a certificate made for this run, or of its key.
fn certificate(folder: &Folder, which: &str) -> Result<String> {
    let file = folder.file(which);
    if !file.exists() {
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()])?;
        fs::write(folder.file("certificate"), made.cert.pem())?;
        fs::write(folder.file("key"), made.signing_key.serialize_pem())?;
    }
    Ok(file.to_string_lossy().into_owned())
}

/// The access logs of a proxy.
struct Log {
    /// Each with the number of lines that were taken from it.
    files: [(std::path::PathBuf, usize); 2],
}

impl Log {
    fn new(folder: &Folder) -> Self {
        Self { files: ["access_log", "details_log"].map(|name| (folder.file(name), 0)) }
    }

    /// The lines of each file that are new.
    fn lines(&self) -> [Vec<String>; 2] {
        self.files.each_ref().map(|(path, taken)| lines(path).into_iter().skip(*taken).collect())
    }

    /// Counts these lines as new no more.
    fn take(&mut self, lines: &[Vec<String>; 2]) {
        for ((_, taken), lines) in self.files.iter_mut().zip(lines) {
            *taken += lines.len();
        }
    }
}

/// The lines of a file; none if it is not there.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read(path).map(|bytes| crate::seen::text(&bytes)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
