//! The client in HTTP/1.1.

use std::time::Duration;

use super::{Client, fate};
use crate::{
    Result,
    case::{Event, Step},
    http1::{Kind, header, parse},
    origin::Origins,
    script,
    seen::{Connection, Response, body, text},
    wire::{Received, Wire},
};

pub(super) async fn run(
    client: &Client<'_>,
    wire: &Wire,
    origins: &Origins,
) -> Result<(Vec<Response>, Connection)> {
    let exchange = client.exchange;
    let mut kinds = Vec::new();
    let mut left = None;
    let mut said = Vec::new();
    for step in &exchange.client {
        for step in script::lower(step, false)? {
            if let Step::Head(head) | Step::HeadOnly(head) = &step {
                kinds.push(kind(head));
            }
            if let Some(bytes) = script::http1_bytes(&step)? {
                said.extend(bytes);
                continue;
            }
            wire.write(&std::mem::take(&mut said)).await;
            let requests = exchange.responses.unwrap_or(kinds.len().max(1));
            match step {
                Step::Wait(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
                Step::Await(Event::Origin) => {
                    origins.wait_for_requests(requests, client.patience(Event::Origin)).await
                }
                Step::Await(event) => {
                    wire.wait(client.patience(event), |received| has_come(event, received, &kinds, requests))
                        .await;
                }
                Step::Fin => wire.finish().await,
                Step::Close | Step::Reset => {
                    wire.close(matches!(step, Step::Reset)).await;
                    left = Some("left by the client");
                }
                step => return Err(format!("an HTTP/1 client cannot do {step:?}").into()),
            }
        }
    }
    wire.write(&said).await;
    let expected = exchange.responses.unwrap_or(kinds.len().max(1));
    if left.is_none() {
        wire.wait(client.patience(Event::Response), |received| {
            has_come(Event::Response, received, &kinds, expected)
        })
        .await;
        let (responses, _) = responses(&wire.received(), &kinds);
        let announced = responses.last().is_some_and(|last| header(&last.head, "connection").is_some());
        let whole = complete(&responses) >= expected;
        client.wait_for_end(wire, announced || !whole).await;
    }
    let received = wire.received().clone();
    let (responses, used) = responses(&received, &kinds);
    let excess = text(received.bytes.get(used..).unwrap_or_default());
    let fate = left.map_or_else(|| fate(&received), str::to_owned);
    Ok((responses, Connection { fate, excess, ..Connection::default() }))
}

fn kind(head: &str) -> Kind {
    if head.starts_with("HEAD ") { Kind::ToHead } else { Kind::Response }
}

fn complete(responses: &[Response]) -> usize {
    responses.iter().filter(|response| response.end == "complete").count()
}

fn has_come(event: Event, received: &Received, kinds: &[Kind], requests: usize) -> bool {
    let (responses, _) = responses(received, kinds);
    received.ended.is_some()
        || match event {
            Event::Response => complete(&responses) >= requests,
            Event::Bytes => responses.iter().filter(|response| !response.head.is_empty()).count() >= requests,
            Event::Interim => responses.iter().any(|response| !response.interim.is_empty()),
            Event::End => false,
            Event::Origin | Event::Body | Event::Gone => true,
        }
}

/// The responses in what was received, and how many bytes they took.
fn responses(received: &Received, kinds: &[Kind]) -> (Vec<Response>, usize) {
    let mut kinds = kinds.iter().copied();
    let mut kind = kinds.next().unwrap_or(Kind::Response);
    let mut responses = Vec::new();
    let mut interim = Vec::new();
    let mut at = 0;
    while let Some(message) =
        received.bytes.get(at..).and_then(|rest| parse(rest, kind, received.ended.is_some()))
    {
        at += message.used;
        let status = message.head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        if status.starts_with('1') && status != "101" {
            interim.push(message.head);
            continue;
        }
        kind = kinds.next().unwrap_or(Kind::Response);
        responses.push(Response {
            interim: std::mem::take(&mut interim),
            head: message.head,
            body: body(&message.body),
            trailers: message.trailers,
            end: if message.complete { "complete" } else { "cut" }.to_owned(),
        });
    }
    if !interim.is_empty() {
        responses.push(Response { interim, end: "no final response".to_owned(), ..Response::default() });
    }
    (responses, at)
}
