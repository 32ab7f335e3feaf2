//! `/server_info`, `/ready` and `/memory`.

use http::StatusCode;
use serde_json::json;

use crate::{
    answer::Answer,
    handles::{Memory, ServerFacts, ServerState},
};

pub(crate) fn ready(state: ServerState) -> Answer {
    let status = if state == ServerState::Live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::text(status, format!("{}\n", state.name()))
}

pub(crate) fn server_info(facts: &ServerFacts, state: ServerState) -> Answer {
    let uptime = format!("{}s", facts.uptime().as_secs());
    Answer::json(&json!({
        "version": facts.version,
        "state": state,
        "uptime_current_epoch": uptime,
        "uptime_all_epochs": uptime,
        "hot_restart_version": facts.hot_restart_version,
        "command_line_options": facts.command_line_options,
        "node": facts.node,
        "hot_restart_initializing": false,
    }))
}

pub(crate) fn memory(memory: Memory) -> Answer {
    let Memory { allocated, heap_size, total_physical_bytes } = memory;
    // 64-bit integers are strings in protobuf's JSON.
    Answer::json(&json!({
        "allocated": allocated.to_string(),
        "heap_size": heap_size.to_string(),
        "pageheap_unmapped": "0",
        "pageheap_free": "0",
        "total_thread_cache": "0",
        "total_physical_bytes": total_physical_bytes.to_string(),
    }))
}
