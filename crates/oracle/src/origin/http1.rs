//! An origin's connection in HTTP/1.1.

use std::time::Duration;

use super::{PATIENCE, Visit};
use crate::{
    Result,
    case::{Event, Step},
    http1::{Kind, Message, parse},
    script,
    wire::{Received, Wire},
};

pub(super) async fn serve(wire: &Wire, visit: &Visit) {
    let mut epoch = visit.shared.epoch.subscribe();
    let mut at = 0;
    loop {
        let mut receiver = wire.subscribe();
        let head = tokio::select! {
            biased;
            received = receiver.wait_for(|received| request(received, at).is_some() || received.ended.is_some()) => {
                let Some(message) = received.ok().and_then(|received| request(&received, at)) else {
                    return;
                };
                message.head
            }
            () = Visit::dismissed(&mut epoch) => return,
        };
        let (index, steps) = visit.begin(head);
        let end = tokio::select! {
            biased;
            end = answer(wire, at, &steps) => end.unwrap_or_else(|error| error.to_string()),
            () = wire.ended() => "given up by the proxy".to_owned(),
        };
        let left = end == "closed" || end == "reset";
        if !left {
            wire.wait(PATIENCE, |received| is_complete(received, at) || received.ended.is_some()).await;
        }
        let message = request(&wire.received(), at).unwrap_or_default();
        visit.end(index, &message.body, message.complete, message.trailers, &end);
        if left || !message.complete {
            return;
        }
        at += message.used;
    }
}

fn request(received: &Received, at: usize) -> Option<Message> {
    parse(received.bytes.get(at..)?, Kind::Request, received.ended.is_some())
}

fn is_complete(received: &Received, at: usize) -> bool {
    request(received, at).is_some_and(|message| message.complete)
}

/// Does the steps; how it ended.
async fn answer(wire: &Wire, at: usize, steps: &[Step]) -> Result<String> {
    if !matches!(steps.first(), Some(Step::Early)) {
        wire.wait(PATIENCE, |received| is_complete(received, at)).await;
    }
    let mut said = Vec::new();
    for step in steps {
        for step in script::lower(step, false)? {
            if let Some(bytes) = script::http1_bytes(&step)? {
                said.extend(bytes);
                continue;
            }
            wire.write(&std::mem::take(&mut said)).await;
            match step {
                Step::Early => {}
                Step::Wait(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
                Step::Await(Event::Body) => {
                    wire.wait(PATIENCE, |received| is_complete(received, at)).await;
                }
                Step::Await(Event::Gone) => {
                    wire.wait(PATIENCE, |received| received.ended.is_some()).await;
                    return Ok("given up by the proxy".to_owned());
                }
                Step::Fin => wire.finish().await,
                Step::Close | Step::Reset => {
                    let reset = matches!(step, Step::Reset);
                    wire.close(reset).await;
                    return Ok(if reset { "reset" } else { "closed" }.to_owned());
                }
                step => return Err(format!("an HTTP/1 origin cannot do {step:?}").into()),
            }
        }
    }
    wire.write(&said).await;
    Ok("answered".to_owned())
}
