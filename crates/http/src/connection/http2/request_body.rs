//! A request's body. The client's window opens as the body is read, so a slow upstream holds back the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};
use nuncio_service::{BoxError, RequestProgress};

#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: RecvStream,
    progress: Arc<RequestProgress>,
    /// How much is still to come, where the client has said so; the codec sees to it that this is true.
    left: Option<u64>,
}

impl RequestBody {
    pub(super) fn new(incoming: RecvStream, progress: Arc<RequestProgress>, length: Option<u64>) -> Self {
        if length == Some(0) {
            progress.end();
        }
        Self { incoming, progress, left: length }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match ready!(this.incoming.poll_data(cx)) {
            Some(Ok(data)) => {
                // Fails only where the stream has ended, and then the window does not matter.
                let _ = this.incoming.flow_control().release_capacity(data.len());
                let length = data.len() as u64;
                this.progress.read(length);
                this.left = this.left.map(|left| left.saturating_sub(length));
                // Who knows the length asks for no more, while the stream's end may come in a frame of its own.
                if this.left == Some(0) || this.incoming.is_end_stream() {
                    this.progress.end();
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => {}
        }
        let trailers = ready!(this.incoming.poll_trailers(cx))?;
        this.progress.end();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}
