//! Interim responses (1xx), which are told apart from the response and limited in number.

use http::StatusCode;
use nuncio_cluster::UpstreamError;
use tokio::io::AsyncWriteExt as _;

use crate::{http2::http2, support::*};

/// `:status` with a literal value, in a HEADERS frame of stream 1.
fn head(status: &str, end_stream: bool) -> Vec<u8> {
    let mut frame = vec![0, 0, 5, 1, 4 | u8::from(end_stream), 0, 0, 0, 1, 0x08, 3];
    frame.extend(status.bytes());
    frame
}

fn codes(interim: &[StatusCode]) -> Vec<u16> {
    interim.iter().map(|status| status.as_u16()).collect()
}

/// What is said of a request to whose connection the origin writes `answer`.
async fn ask(
    origin: &mut Origin,
    fixture: &Fixture,
    answer: &[u8],
) -> (Vec<StatusCode>, Result<u16, UpstreamError>) {
    let mut future = fixture.cluster.request(get());
    let play = async {
        let mut peer = origin.accept().await;
        eventually("the request", || fixture.gauge("upstream_rq_active") == 1).await;
        let _ = peer.stream.write_all(answer).await;
        peer
    };
    let (result, _peer) = tokio::join!(within("the response", &mut future), play);
    let interim = future.take_interim();
    assert!(future.take_interim().is_empty());
    (interim, result.map(|upstream| upstream.response.status().as_u16()))
}

#[tokio::test]
async fn interim_responses_are_told() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (interim, result) = ask(&mut origin, &fixture, answer).await;
    assert_eq!((codes(&interim), result.unwrap()), (vec![100, 103], 200));

    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let settings = b"\0\0\0\x04\0\0\0\0\0".to_vec();
    let answer = [settings, head("100", false), head("103", false), head("200", true)].concat();
    let (interim, result) = ask(&mut origin, &fixture, &answer).await;
    assert_eq!((codes(&interim), result.unwrap()), (vec![100, 103], 200));
}

#[tokio::test]
async fn interim_responses_are_told_of_a_request_that_fails() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let (interim, result) =
        ask(&mut origin, &fixture, b"HTTP/1.1 102 Processing\r\n\r\ngarbage\r\n\r\n").await;
    assert_eq!((codes(&interim), result.unwrap_err().status().as_u16()), (vec![102], 502));
}

#[tokio::test]
async fn an_origin_that_sends_nothing_but_interim_responses() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let answer = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(10_000);
    let (_, result) = ask(&mut origin, &fixture, &answer).await;
    assert_eq!(result.unwrap_err().flags().to_string(), "UPE");
    fixture
        .assert_stats(&[("upstream_cx_destroy_local_with_active_rq", 1), ("upstream_cx_protocol_error", 1)]);

    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let settings = b"\0\0\0\x04\0\0\0\0\0".to_vec();
    let answer = [settings, head("102", false).repeat(10_000)].concat();
    let (interim, result) = ask(&mut origin, &fixture, &answer).await;
    assert_eq!(result.unwrap_err().flags().to_string(), "UPE");
    assert_eq!(interim.len(), 101);
    fixture.assert_stats(&[("http2.tx_reset", 1), ("upstream_rq_active", 0), ("upstream_cx_active", 1)]);
}
