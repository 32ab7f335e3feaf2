//! The access log line of a request that never became one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Version};
use nuncio_service::{Connection, ResponseFlags, StreamInfo};

use super::refusal::Refusal;
use crate::access_log::{AccessLog, Record};

#[derive(Debug, Clone)]
pub(crate) struct RefusalLog {
    pub(crate) log: AccessLog,
    pub(crate) connection: Arc<Connection>,
}

impl RefusalLog {
    pub(crate) fn write(&self, refusal: Refusal) {
        if self.log.is_empty() {
            return;
        }
        let mut info = StreamInfo::new(Instant::now(), Arc::clone(&self.connection), Version::HTTP_11);
        info.flags = ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR;
        info.response_code_details = refusal.details;
        let sent = refusal.status.canonical_reason().map_or(0, str::len);
        self.log.write(&Record {
            request: None,
            response: Some((refusal.status, &HeaderMap::new())),
            info: &info,
            bytes_received: 0,
            bytes_sent: sent as u64,
            duration: Duration::ZERO,
        });
    }
}
