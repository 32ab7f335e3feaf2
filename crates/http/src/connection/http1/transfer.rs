//! A response's body, frame by frame into the framing that its head has announced.

use bytes::Bytes;
use http_body::{Body as _, Frame};
use nuncio_service::{Body, BoxError};

use super::{encode::Framing, output::Output};
use crate::connection::stream::Stream;

/// A response's body on its way out.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) body: Body,
    framing: Framing,
    pub(super) ended: bool,
    /// Whether the body is not what the head has announced; the connection tells by its end.
    pub(super) cut_off: bool,
}

impl Transfer {
    pub(super) fn begin(body: Body, framing: Framing, stream: &mut Stream) -> Self {
        let bodiless = framing == Framing::Bodiless;
        if bodiless {
            stream.finish();
        }
        Self { body: if bodiless { Body::Empty } else { body }, framing, ended: bodiless, cut_off: false }
    }

    /// Takes a frame of the body, or its end.
    pub(super) fn take(
        &mut self,
        frame: Option<Result<Frame<Bytes>, BoxError>>,
        output: &mut Output,
        stream: Option<&mut Stream>,
    ) {
        let Some(stream) = stream else { return };
        match frame {
            // HTTP/1 clients get no trailers, as in Envoy by default.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.data(data, output, stream);
                }
                if self.body.is_end_stream() && !self.ended {
                    self.end(output, stream);
                }
            }
            Some(Err(error)) => {
                stream.fail(&error);
                self.cut();
            }
            None => self.end(output, stream),
        }
    }

    fn data(&mut self, mut data: Bytes, output: &mut Output, stream: &mut Stream) {
        match &mut self.framing {
            Framing::Chunked => {
                stream.sent(data.len());
                output.chunk(data);
            }
            Framing::Length(left) => {
                if data.len() as u64 > *left {
                    // More would be read as the next response.
                    data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    stream.fail(&"a body is longer than announced".into());
                    self.ended = true;
                    self.cut_off = true;
                }
                *left -= data.len() as u64;
                stream.sent(data.len());
                output.data(data);
            }
            Framing::Bodiless => {}
        }
    }

    fn end(&mut self, output: &mut Output, stream: &mut Stream) {
        self.ended = true;
        match self.framing {
            Framing::Length(left) if left > 0 => {
                stream.fail(&"a body is shorter than announced".into());
                self.cut_off = true;
                return;
            }
            Framing::Chunked => output.last_chunk(),
            _ => {}
        }
        stream.finish();
    }

    fn cut(&mut self) {
        self.ended = true;
        self.cut_off = true;
    }
}
