//! HTTP/2 in frames, for either side: sends what it is told, right or wrong, and notes what comes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use httlib_hpack::Decoder;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    Result,
    case::{self, Step, latin1},
    seen::text,
    wire::{Received, Wire},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const MAX_FRAME: usize = 16_384;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    /// The connection below.
    pub(crate) wire: Arc<Wire>,
    /// What goes out with the next flush: what one side says without a pause goes out in one piece.
    queue: Mutex<Vec<u8>>,
    state: watch::Sender<State>,
    pump: JoinHandle<()>,
}

/// What has come so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// The streams on which anything came.
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// What concerns the whole connection.
    pub(crate) frames: Vec<String>,
    /// What cannot be read as frames.
    pub(crate) excess: String,
    /// Whether the connection has ended.
    pub(crate) ended: bool,
    initial_window: i64,
    window: i64,
}

/// What has come on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// Header blocks in their order.
    pub(crate) heads: Vec<Vec<String>>,
    /// The body.
    pub(crate) data: Vec<u8>,
    /// Whether END_STREAM came.
    pub(crate) complete: bool,
    /// The code of RST_STREAM.
    pub(crate) reset: Option<u32>,
    /// What may still be sent on the stream, apart from its initial window.
    window: i64,
}

impl Stream {
    /// Whether nothing more will come.
    pub(crate) fn over(&self) -> bool {
        self.complete || self.reset.is_some()
    }
}

impl Http2 {
    /// Takes over a connection. A client sends the preface unless `bare`; an origin expects one.
    pub(crate) async fn start(wire: Arc<Wire>, client: bool, bare: bool) -> Self {
        let mut opening = Vec::new();
        if client {
            opening.extend_from_slice(PREFACE);
        }
        // Windows that are never used up, so that none need be opened while running.
        opening.extend(frame(4, 0, 0, &[&[0, 4], &0x7fff_ffff_u32.to_be_bytes()[..]].concat()));
        opening.extend(frame(8, 0, 0, &(0x7fff_ffff_u32 - 65_535).to_be_bytes()));
        if !bare {
            wire.write(&opening).await;
        }
        let state = watch::Sender::new(State { initial_window: 65_535, window: 65_535, ..State::default() });
        let skip = if client { 0 } else { PREFACE.len() };
        let pump = tokio::spawn(pump(Arc::clone(&wire), state.clone(), skip));
        Self { wire, queue: Mutex::default(), state, pump }
    }

    /// What has come so far.
    pub(crate) fn state(&self) -> watch::Ref<'_, State> {
        self.state.borrow()
    }

    /// A way to wait for more.
    pub(crate) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Waits until `condition` holds, but no longer than `patience`.
    pub(crate) async fn wait(&self, patience: Duration, condition: impl FnMut(&State) -> bool) -> bool {
        let mut receiver = self.state.subscribe();
        matches!(timeout(patience, receiver.wait_for(condition)).await, Ok(Ok(_)))
    }

    /// Does one step that sends something on a stream.
    pub(crate) async fn send(&self, stream: u32, step: &Step) -> Result<()> {
        match step {
            Step::Head(head) => self.head(stream, &lines(head), 0),
            Step::HeadOnly(head) => self.head(stream, &lines(head), END_STREAM),
            Step::Body(body) | Step::Chunk(body) => self.data(stream, &body.bytes()?, 0).await,
            Step::Last(body) => self.data(stream, &body.bytes()?, END_STREAM).await,
            Step::End(trailers) if trailers.is_empty() => {
                self.queue(&frame(0, END_STREAM, stream, &[]));
                Ok(())
            }
            Step::End(trailers) => self.head(stream, trailers, END_STREAM),
            Step::Send(bytes) => {
                self.queue(&bytes.bytes()?);
                Ok(())
            }
            Step::Frame(case::Frame { kind, flags, stream, payload, headers }) => {
                let mut payload = payload.bytes()?;
                payload.extend(encode(headers)?);
                self.queue(&frame(*kind, *flags, *stream, &payload));
                Ok(())
            }
            Step::Rst(code) => {
                self.queue(&frame(3, 0, stream, &code.to_be_bytes()));
                Ok(())
            }
            Step::Goaway { code, last } => {
                let payload = [last.unwrap_or(stream).to_be_bytes(), code.to_be_bytes()].concat();
                self.queue(&frame(7, 0, 0, &payload));
                Ok(())
            }
            step => Err(format!("{step:?} sends nothing on a stream").into()),
        }
    }

    /// Sends what was said so far.
    pub(crate) async fn flush(&self) {
        let bytes = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        if !bytes.is_empty() {
            self.wire.write(&bytes).await;
        }
    }

    fn queue(&self, bytes: &[u8]) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    fn head(&self, stream: u32, lines: &[String], flags: u8) -> Result<()> {
        let block = encode(lines)?;
        let mut bytes = Vec::new();
        let parts = block.len().div_ceil(MAX_FRAME).max(1);
        for index in 0..parts {
            let part =
                block.get(index * MAX_FRAME..block.len().min((index + 1) * MAX_FRAME)).unwrap_or_default();
            let end = if index + 1 == parts { END_HEADERS } else { 0 };
            let (kind, flags) = if index == 0 { (1, flags | end) } else { (9, end) };
            bytes.extend(frame(kind, flags, stream, part));
        }
        self.queue(&bytes);
        Ok(())
    }

    async fn data(&self, stream: u32, mut rest: &[u8], flags: u8) -> Result<()> {
        if rest.is_empty() {
            self.queue(&frame(0, flags, stream, rest));
        }
        while !rest.is_empty() {
            let mut room = 0;
            let mut receiver = self.state.subscribe();
            let mut open = |state: &State| {
                let own = state.streams.get(&stream).map_or(0, |stream| stream.window);
                let reset = state.streams.get(&stream).is_some_and(|stream| stream.reset.is_some());
                room = state.window.min(state.initial_window + own);
                room > 0 || reset || state.ended
            };
            if !open(&receiver.borrow_and_update()) {
                self.flush().await;
                receiver.wait_for(open).await?;
            }
            let Ok(room @ 1..) = usize::try_from(room) else {
                return Ok(());
            };
            let (now, later) = rest.split_at(room.min(rest.len()).min(MAX_FRAME));
            self.state.send_modify(|state| {
                let length = now.len() as i64;
                state.window -= length;
                state.streams.entry(stream).or_default().window -= length;
            });
            let flags = if later.is_empty() { flags } else { 0 };
            self.queue(&frame(0, flags, stream, now));
            rest = later;
        }
        Ok(())
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Non-empty lines of a text.
fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = length.get(1..).unwrap_or_default().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Literals without indexing and without Huffman code, so that anything can be said.
fn encode(lines: &[String]) -> Result<Vec<u8>> {
    let mut block = Vec::new();
    for line in lines {
        // The first colon may be a pseudo-header's own.
        let at =
            line.get(1..).and_then(|rest| rest.find(':')).ok_or_else(|| format!("no colon in {line:?}"))?;
        let (name, value) = line.split_at_checked(at + 1).unwrap_or((line, ""));
        let value = value.strip_prefix(':').unwrap_or(value);
        let value = value.strip_prefix(' ').unwrap_or(value);
        block.push(0);
        for part in [latin1(name)?, latin1(value)?] {
            length(&mut block, part.len());
            block.extend(part);
        }
    }
    Ok(block)
}

/// An integer with a prefix of seven bits.
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(length as u8);
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// Reads frames as they come, and answers SETTINGS and PING.
async fn pump(wire: Arc<Wire>, state: watch::Sender<State>, skip: usize) {
    let mut receiver = wire.subscribe();
    let mut frames = Frames { at: skip, decoder: Decoder::default(), block: None };
    loop {
        let (answers, ended) = {
            let Ok(received) = receiver.wait_for(|r| r.ended.is_some() || r.bytes.len() > frames.at).await
            else {
                return;
            };
            let mut answers = Vec::new();
            state.send_modify(|state| answers = frames.read(&received, state));
            (answers, received.ended.is_some())
        };
        if !answers.is_empty() {
            wire.write(&answers).await;
        }
        if ended {
            return;
        }
        // Only a part of a frame is left: wait for more of it.
        let _ended = receiver.changed().await;
    }
}

/// Where the reading stands.
struct Frames<'a> {
    at: usize,
    decoder: Decoder<'a>,
    /// A header block whose end has not come: its stream, its first frame's flags, its bytes.
    block: Option<(u32, u8, Vec<u8>)>,
}

impl Frames<'_> {
    fn read(&mut self, received: &Received, state: &mut State) -> Vec<u8> {
        let mut answers = Vec::new();
        while let Some(rest) = received.bytes.get(self.at..) {
            let Some(&[a, b, c, kind, flags, s1, s2, s3, s4]) = rest.first_chunk() else {
                break;
            };
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if length > MAX_FRAME {
                break;
            }
            let Some(payload) = rest.get(9..9 + length) else {
                break;
            };
            self.at += 9 + length;
            let stream = u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff;
            self.take(state, kind, flags, stream, payload, &mut answers);
        }
        if received.ended.is_some() {
            state.ended = true;
            state.excess = text(received.bytes.get(self.at..).unwrap_or_default());
        }
        answers
    }

    fn take(
        &mut self,
        state: &mut State,
        kind: u8,
        flags: u8,
        id: u32,
        payload: &[u8],
        answers: &mut Vec<u8>,
    ) {
        match kind {
            0 => {
                let stream = state.streams.entry(id).or_default();
                stream.data.extend_from_slice(unpadded(payload, flags));
                stream.complete |= flags & END_STREAM != 0;
            }
            1 => {
                let payload = unpadded(payload, flags);
                let payload = if flags & 0x20 == 0 { payload } else { payload.get(5..).unwrap_or_default() };
                self.block = Some((id, flags, payload.to_vec()));
            }
            3 => {
                let stream = state.streams.entry(id).or_default();
                stream.reset = payload.first_chunk().copied().map(u32::from_be_bytes);
            }
            4 if flags & 1 == 0 => {
                for setting in payload.chunks_exact(6) {
                    if let [0, 4, value @ ..] = setting {
                        let value = value.first_chunk().copied().map_or(0, u32::from_be_bytes);
                        state.initial_window = value.into();
                    }
                }
                answers.extend(frame(4, 1, 0, &[]));
            }
            6 if flags & 1 == 0 => answers.extend(frame(6, 1, 0, payload)),
            7 => {
                let number = |at: usize| {
                    payload
                        .get(at..)
                        .and_then(|rest| rest.first_chunk())
                        .copied()
                        .map_or(0, u32::from_be_bytes)
                };
                let debug = text(payload.get(8..).unwrap_or_default());
                state.frames.push(format!("GOAWAY last {} code {} {debug:?}", number(0), number(4)));
            }
            8 => {
                let more: i64 = payload.first_chunk().copied().map_or(0, u32::from_be_bytes).into();
                if id == 0 {
                    state.window += more;
                } else {
                    state.streams.entry(id).or_default().window += more;
                }
            }
            9 => {
                if let Some((_, first, block)) = &mut self.block {
                    block.extend_from_slice(payload);
                    *first |= flags & END_HEADERS;
                }
            }
            _ => {}
        }
        if let Some((id, flags, mut block)) = self.block.take_if(|(_, flags, _)| *flags & END_HEADERS != 0) {
            let mut list = Vec::new();
            let head = match self.decoder.decode(&mut block, &mut list) {
                Ok(_) => {
                    list.iter().map(|(name, value, _)| format!("{}: {}", text(name), text(value))).collect()
                }
                Err(error) => vec![format!("header block that cannot be decoded: {error:?}")],
            };
            let stream = state.streams.entry(id).or_default();
            stream.heads.push(head);
            stream.complete |= flags & END_STREAM != 0;
        }
    }
}

fn unpadded(payload: &[u8], flags: u8) -> &[u8] {
    if flags & 0x8 == 0 {
        return payload;
    }
    let padding = payload.first().copied().unwrap_or_default() as usize;
    payload.get(1..payload.len().saturating_sub(padding)).unwrap_or_default()
}
