//! The server's side of a handshake.
//!
//! The client's hello is read before a rustls connection exists, because it decides which configuration serves it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::{StartHandshake, server::TlsStream};

use crate::ServerContext;

/// Why no TLS connection came about.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// What the client sent is not TLS, or nothing that both sides can do. Envoy counts it as
    /// `ssl.connection_error`.
    #[error("TLS handshake failed: {0}")]
    Tls(rustls::Error),
    /// The connection ended first.
    #[error("connection ended during the TLS handshake: {0}")]
    Io(io::Error),
}

impl ServerContext {
    /// Shakes hands on a new connection. Sets no time limit: the caller does.
    pub async fn accept<IO>(&self, mut io: IO) -> Result<TlsStream<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = client_hello(&mut io).await?;
        let config = self.config_for(&accepted.client_hello());
        Ok(StartHandshake::from_parts(accepted, io).into_stream(config).await?)
    }
}

async fn client_hello<IO>(io: &mut IO) -> Result<Accepted, AcceptError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = Acceptor::default();
    let mut start = Start::default();
    loop {
        let read = poll_fn(|cx| {
            let mut reader = PollRead { io: &mut *io, cx, start: &mut start };
            match acceptor.read_tls(&mut reader) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                result => Poll::Ready(result),
            }
        })
        .await?;
        if read == 0 {
            return Err(AcceptError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                // An alert would be gibberish to somebody who speaks HTTP.
                if !start.is_http() {
                    let mut bytes = Vec::new();
                    alert.write_all(&mut bytes)?;
                    // The client may have gone; the handshake has failed either way.
                    let _ = io.write_all(&bytes).await;
                }
                return Err(AcceptError::Tls(error));
            }
        }
    }
}

/// The first bytes of a connection.
#[derive(Default)]
struct Start {
    bytes: [u8; 5],
    length: usize,
}

impl Start {
    fn push(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.bytes.iter_mut().skip(self.length).zip(bytes) {
            *slot = *byte;
            self.length += 1;
        }
    }

    /// Whether they are one of the methods that Envoy's TLS library knows.
    fn is_http(&self) -> bool {
        let methods: [&[u8]; 5] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"CONNE"];
        methods.iter().any(|method| self.bytes.starts_with(method))
    }
}

/// Lends an asynchronous reader to rustls, which reads as from a non-blocking socket.
struct PollRead<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
    start: &'a mut Start,
}

impl<IO: AsyncRead + Unpin> io::Read for PollRead<'_, '_, IO> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer)? {
            Poll::Ready(()) => {
                self.start.push(buffer.filled());
                Ok(buffer.filled().len())
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self::Tls(error),
            Err(error) => Self::Io(error),
        }
    }
}
