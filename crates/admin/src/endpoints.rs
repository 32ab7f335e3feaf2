//! From a request's path to an answer. Nothing here knows a socket.

use std::{borrow::Cow, time::SystemTime};

use http::{Method, StatusCode, Uri};
use nuncio_stats::{Filter, HistogramBuckets, StatKind, StatsQuery, render};

use crate::{
    answer::Answer,
    certs, clusters,
    commands::{self, Endpoint},
    config_dump,
    handles::AdminHandles,
    listeners, page,
    query::Query,
    server_info,
};

/// Answers one request.
pub(crate) fn answer(handles: &AdminHandles, method: &Method, uri: &Uri) -> Answer {
    let path = merge_slashes(uri.path());
    let Some(command) = commands::find(&path) else {
        return Answer::text(StatusCode::NOT_FOUND, format!("invalid path. {}", commands::help()));
    };
    if command.mutates && method != Method::POST {
        tracing::error!("admin path \"{path}\" changes state: {method} where POST is required");
        let body = format!("Method {method} not allowed, POST required.");
        return Answer::text(StatusCode::METHOD_NOT_ALLOWED, body);
    }
    let query = Query::parse(uri.query());
    match command.endpoint {
        Endpoint::Home => Answer::html(page::home(&handles.facts.display_version)),
        Endpoint::Help => Answer::text(StatusCode::OK, commands::help()),
        Endpoint::Certs => certs::answer(&handles.certificates, SystemTime::now()),
        Endpoint::Clusters => clusters::answer(&query, &(handles.clusters)()),
        Endpoint::Listeners => listeners::answer(&query, &handles.listeners),
        Endpoint::ConfigDump => config_dump::answer(&query, &handles.config),
        Endpoint::Memory => server_info::memory((handles.memory)()),
        Endpoint::Ready => server_info::ready((handles.state)()),
        Endpoint::ServerInfo => server_info::server_info(&handles.facts, (handles.state)()),
        Endpoint::Stats => stats(handles, &query),
        Endpoint::Prometheus => prometheus(handles, &query, "/stats/prometheus"),
        Endpoint::FailHealthChecks => ok(|| (handles.fail_health_checks)(true)),
        Endpoint::PassHealthChecks => ok(|| (handles.fail_health_checks)(false)),
        Endpoint::Quit => ok(&handles.quit),
        Endpoint::ReopenLogs => ok(&handles.reopen_logs),
        Endpoint::ResetCounters => ok(|| handles.stats.reset_counters()),
    }
}

/// A path without empty segments, which Envoy's admin server passes over.
fn merge_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    Cow::Owned(merged)
}

fn ok(act: impl Fn()) -> Answer {
    act();
    Answer::text(StatusCode::OK, "OK\n")
}

fn stats(handles: &AdminHandles, query: &Query) -> Answer {
    let json = match query.get("format") {
        None | Some("text") => false,
        Some("json") => true,
        Some("prometheus") => return prometheus(handles, query, "/stats"),
        Some(_) => {
            return Answer::text(StatusCode::BAD_REQUEST, "usage: /stats?format=(json|prometheus|text)\n\n");
        }
    };
    match stats_query(query, "/stats") {
        Ok(query) if json => Answer::json_chunks(render::json_chunks(handles.stats.snapshot(&query))),
        Ok(query) => Answer::text_chunks(render::text_chunks(handles.stats.snapshot(&query))),
        Err(answer) => answer,
    }
}

fn prometheus(handles: &AdminHandles, query: &Query, path: &str) -> Answer {
    match stats_query(query, path) {
        Ok(query) => Answer::text_chunks(render::prometheus_chunks(handles.stats.snapshot(&query))),
        Err(answer) => answer,
    }
}

fn stats_query(query: &Query, path: &str) -> Result<StatsQuery, Answer> {
    let refuse = |body: String| Err(Answer::text(StatusCode::BAD_REQUEST, body));
    let filter = match query.non_empty("filter").map(Filter::new) {
        None => None,
        Some(Ok(filter)) => Some(filter),
        Some(Err(error)) => return refuse(error.to_string()),
    };
    let kind = match query.get("type") {
        None | Some("All") => None,
        Some("Counters") => Some(StatKind::Counter),
        Some("Gauges") => Some(StatKind::Gauge),
        Some("Histograms") => Some(StatKind::Histogram),
        Some("TextReadouts") => Some(StatKind::TextReadout),
        Some(_) => return refuse("invalid &type= param".to_owned()),
    };
    let histogram_buckets = match query.non_empty("histogram_buckets") {
        None => HistogramBuckets::Unset,
        Some("summary") => HistogramBuckets::Summary,
        Some("cumulative") => HistogramBuckets::Cumulative,
        Some("disjoint") => HistogramBuckets::Disjoint,
        Some("detailed") => HistogramBuckets::Detailed,
        Some(_) => {
            return refuse(format!(
                "usage: {path}?histogram_buckets=(cumulative|disjoint|detailed|summary)\n"
            ));
        }
    };
    Ok(StatsQuery {
        used_only: query.has("usedonly"),
        filter,
        invert_filter: query.has("invert_filter"),
        kind,
        histogram_buckets,
        text_readouts: query.has("text_readouts"),
    })
}

#[cfg(test)]
mod tests;
