//! An origin's connection in HTTP/2.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{PATIENCE, Visit};
use crate::{
    Result,
    case::{Event, Step},
    http2::{Http2, State, Stream},
    script,
    wire::Wire,
};

pub(super) async fn serve(wire: &Arc<Wire>, visit: &Visit) {
    let mut epoch = visit.shared.epoch.subscribe();
    let http2 = Arc::new(Http2::start(Arc::clone(wire), false, false).await);
    let mut requests = JoinSet::new();
    let mut last = 0;
    loop {
        let mut receiver = http2.subscribe();
        tokio::select! {
            biased;
            state = receiver.wait_for(|state| state.ended || next(state, last).is_some()) => {
                let Some((id, head)) = state.ok().and_then(|state| next(&state, last)) else {
                    break;
                };
                last = id;
                requests.spawn(one(Arc::clone(&http2), visit.clone(), id, head));
            }
            Some(Ok(left)) = requests.join_next() => if left {
                break;
            },
            () = Visit::dismissed(&mut epoch) => break,
        }
    }
    while requests.join_next().await.is_some() {}
}

/// The next stream with a request's head.
fn next(state: &State, last: u32) -> Option<(u32, Vec<String>)> {
    let (id, stream) = state.streams.range(last + 1..).find(|(_, stream)| !stream.heads.is_empty())?;
    Some((*id, stream.heads.first()?.clone()))
}

/// Answers one request; whether the connection was closed by that.
async fn one(http2: Arc<Http2>, visit: Visit, id: u32, head: Vec<String>) -> bool {
    let (index, steps) = visit.begin(head);
    let mut end = tokio::select! {
        biased;
        end = answer(&http2, id, &steps) => end.unwrap_or_else(|error| error.to_string()),
        _gone = http2.wait(PATIENCE, |state| state.ended || of(state, id).reset.is_some()) => {
            "given up by the proxy".to_owned()
        }
    };
    let left = end == "closed" || end == "reset";
    let over = steps.iter().any(|step| matches!(step, Step::Rst(_)));
    if !left && !over {
        http2.wait(PATIENCE, |state| state.ended || of(state, id).over()).await;
    }
    let stream = of(&http2.state(), id);
    // A reset that follows the end of both sides comes at any time, and changes nothing.
    if let Some(code) = stream.reset.filter(|_| !(over || end == "answered" && stream.complete)) {
        end = format!("{end}, RST_STREAM {code}");
    }
    let trailers = stream.heads.iter().skip(1).flatten().cloned().collect();
    visit.end(index, &stream.data, stream.complete, trailers, &end);
    left
}

fn of(state: &State, id: u32) -> Stream {
    state.streams.get(&id).cloned().unwrap_or_default()
}

/// Does the steps; how it ended.
async fn answer(http2: &Http2, id: u32, steps: &[Step]) -> Result<String> {
    if !matches!(steps.first(), Some(Step::Early)) {
        http2.wait(PATIENCE, |state| of(state, id).complete).await;
    }
    for step in steps {
        for step in script::lower(step, true)? {
            if !script::says(&step) {
                http2.flush().await;
            }
            match step {
                Step::Early => {}
                Step::Wait(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
                Step::Await(Event::Body) => {
                    http2.wait(PATIENCE, |state| of(state, id).complete).await;
                }
                Step::Await(Event::Gone) => {
                    http2.wait(PATIENCE, |state| state.ended || of(state, id).reset.is_some()).await;
                    return Ok("given up by the proxy".to_owned());
                }
                Step::Fin => http2.wire.finish().await,
                Step::Close | Step::Reset => {
                    let reset = matches!(step, Step::Reset);
                    http2.wire.close(reset).await;
                    return Ok(if reset { "reset" } else { "closed" }.to_owned());
                }
                step => http2.send(id, &step).await?,
            }
        }
    }
    http2.flush().await;
    Ok("answered".to_owned())
}
