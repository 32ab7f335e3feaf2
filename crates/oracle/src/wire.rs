//! One connection, seen from the oracle's end: all bytes that came, when, and how it ended.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::{Mutex as AsyncMutex, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    Result,
    socket::{Ended, Socket},
};

/// A connection with a task that reads it.
#[derive(Debug)]
pub(crate) struct Wire {
    out: AsyncMutex<Option<WriteHalf<Socket>>>,
    control: socket2::Socket,
    state: watch::Sender<Received>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

/// What has come so far.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// How and when the other side ended the connection.
    pub(crate) ended: Option<(Ended, Instant)>,
    /// When something was last sent or received.
    pub(crate) last: Instant,
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Result<Self> {
        let control = socket.control()?;
        let (read, write) = tokio::io::split(socket);
        let state = watch::Sender::new(Received { bytes: Vec::new(), ended: None, last: Instant::now() });
        let reader = tokio::spawn(receive(read, state.clone()));
        Ok(Self { out: AsyncMutex::new(Some(write)), control, state, reader: Mutex::new(Some(reader)) })
    }

    /// Sends bytes. That the other side has gone is no error: it shows in what is received.
    pub(crate) async fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut out = self.out.lock().await;
        if let Some(out) = out.as_mut()
            && out.write_all(bytes).await.is_ok()
        {
            let _gone = out.flush().await;
        }
        self.state.send_modify(|received| received.last = Instant::now());
    }

    /// Ends the sending side.
    pub(crate) async fn finish(&self) {
        if let Some(out) = self.out.lock().await.as_mut() {
            let _gone = out.shutdown().await;
        }
    }

    /// Closes the connection, by RST if so wanted.
    pub(crate) async fn close(&self, reset: bool) {
        if reset {
            let _gone = self.control.set_linger(Some(Duration::ZERO));
        }
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.abort();
            let _aborted = reader.await;
        }
        drop(self.out.lock().await.take());
        if !reset {
            let _gone = self.control.shutdown(std::net::Shutdown::Both);
        }
    }

    /// What has come so far.
    pub(crate) fn received(&self) -> watch::Ref<'_, Received> {
        self.state.borrow()
    }

    /// A way to wait for more.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Received> {
        self.state.subscribe()
    }

    /// Waits until `condition` holds, but no longer than `patience`.
    pub(crate) async fn wait(&self, patience: Duration, condition: impl FnMut(&Received) -> bool) -> bool {
        let mut receiver = self.state.subscribe();
        matches!(timeout(patience, receiver.wait_for(condition)).await, Ok(Ok(_)))
    }

    /// Waits until the other side ends the connection.
    pub(crate) async fn ended(&self) {
        let mut receiver = self.state.subscribe();
        // The sender lives in `self`.
        let _held = receiver.wait_for(|received| received.ended.is_some()).await;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.abort();
        }
    }
}

async fn receive(mut read: ReadHalf<Socket>, state: watch::Sender<Received>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let result = read.read(&mut buffer).await;
        let now = Instant::now();
        let ended = match &result {
            Ok(0) => Some(Ended::Closed),
            Ok(_) => None,
            Err(error) => Some(Ended::from(error)),
        };
        let length = result.unwrap_or_default();
        state.send_modify(|received| {
            match ended {
                Some(ended) => received.ended = Some((ended, now)),
                None => {
                    received.last = now;
                    received.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                }
            };
        });
        if ended.is_some() {
            return;
        }
    }
}
