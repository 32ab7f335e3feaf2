//! The client in HTTP/2.

use std::{sync::Arc, time::Duration};

use super::{Client, KNOWN, fate};
use crate::{
    Result,
    case::{Event, Step},
    http2::{Http2, State, Stream},
    origin::Origins,
    script,
    seen::{Connection, Response, body},
    wire::Wire,
};

pub(super) async fn run(
    client: &Client<'_>,
    wire: &Arc<Wire>,
    origins: &Origins,
) -> Result<(Vec<Response>, Connection)> {
    let exchange = client.exchange;
    let http2 = Http2::start(Arc::clone(wire), true, exchange.bare).await;
    let mut streams: Vec<u32> = Vec::new();
    let mut left = None;
    let mut raw = false;
    for step in &exchange.client {
        for step in script::lower(step, true)? {
            if !script::says(&step) {
                http2.flush().await;
            }
            match step {
                Step::Wait(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
                Step::Await(Event::Origin) => {
                    origins.wait_for_requests(streams.len(), client.patience(Event::Origin)).await
                }
                Step::Await(event) => {
                    http2.wait(client.patience(event), |state| has_come(event, state, &streams)).await;
                }
                Step::Fin => wire.finish().await,
                Step::Close | Step::Reset => {
                    wire.close(matches!(step, Step::Reset)).await;
                    left = Some("left by the client");
                }
                step => {
                    let opens = match &step {
                        Step::Head(_) | Step::HeadOnly(_) => Some(streams.last().map_or(1, |last| last + 2)),
                        Step::Frame(frame) => {
                            Some(frame.stream).filter(|id| frame.kind == 1 && !streams.contains(id))
                        }
                        _ => None,
                    };
                    streams.extend(opens);
                    // What stands behind all requests may make the proxy close, which no response tells.
                    raw = matches!(&step, Step::Send(_) | Step::Frame(_) | Step::Goaway { .. });
                    http2.send(streams.last().copied().unwrap_or_default(), &step).await?;
                }
            }
        }
    }
    http2.flush().await;
    if left.is_none() {
        http2
            .wait(client.patience(Event::Response), |state| has_come(Event::Response, state, &streams))
            .await;
        let calm = {
            let state = http2.state();
            let whole = |id| state.streams.get(id).is_some_and(|stream| stream.complete);
            !raw && state.frames.is_empty() && !streams.is_empty() && streams.iter().all(whole)
        };
        client.wait_for_end(wire, !calm).await;
        if wire.received().ended.is_some() {
            http2.wait(KNOWN, |state| state.ended).await;
        }
    }
    let state = http2.state().clone();
    let responses = streams.iter().map(|id| response(state.streams.get(id))).collect();
    let mut fate = left.map_or_else(|| fate(&wire.received()), str::to_owned);
    if fate == "reset after a delay" {
        // It is a reset if the client's answer to SETTINGS came too late to be read, which is a matter of luck.
        fate = "closed after a delay".to_owned();
    }
    let State { frames, excess, .. } = state;
    Ok((responses, Connection { fate, frames, excess, alpn: None }))
}

fn has_come(event: Event, state: &State, streams: &[u32]) -> bool {
    let all = |condition: &dyn Fn(&Stream) -> bool| {
        !streams.is_empty() && streams.iter().all(|id| state.streams.get(id).is_some_and(condition))
    };
    state.ended
        || match event {
            Event::Response => all(&Stream::over),
            Event::Bytes => all(&|stream| stream.heads.iter().any(|head| !is_interim(head))),
            Event::Interim => all(&|stream| stream.heads.iter().any(|head| is_interim(head))),
            Event::End => false,
            Event::Origin | Event::Body | Event::Gone => true,
        }
}

fn is_interim(head: &[String]) -> bool {
    head.first().is_some_and(|line| line.starts_with(":status: 1"))
}

fn response(stream: Option<&Stream>) -> Response {
    let Some(stream) = stream else {
        return Response { end: "nothing".to_owned(), ..Response::default() };
    };
    let mut response = Response { body: body(&stream.data), ..Response::default() };
    for head in &stream.heads {
        if response.head.is_empty() && is_interim(head) {
            response.interim.push(head.clone());
        } else if response.head.is_empty() {
            response.head.clone_from(head);
        } else {
            response.trailers.extend(head.iter().cloned());
        }
    }
    let end = if stream.complete { "complete" } else { "cut" };
    response.end = match stream.reset {
        Some(code) => format!("{end}, RST_STREAM {code}"),
        None => end.to_owned(),
    };
    response
}
