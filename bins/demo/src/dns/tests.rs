use hickory_server::proto::op::{Message, Query, ResponseCode};

use super::*;

/// One DNS question over UDP: the answer's code and its addresses.
async fn ask(server: SocketAddr, name: &str, record_type: RecordType) -> (ResponseCode, Vec<Ipv4Addr>) {
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii(name).expect("a name"), record_type));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let bytes = question.to_vec().expect("a question");
    socket.send_to(&bytes, server).await.expect("a datagram sent");
    let mut bytes = [0; 1500];
    let length = socket.recv(&mut bytes).await.expect("a datagram");
    let answer = Message::from_vec(&bytes[..length]).expect("a DNS message");
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(A(address)) => Some(*address),
            _ => None,
        })
        .collect();
    (answer.metadata.response_code, addresses)
}

#[tokio::test]
async fn answers_with_the_addresses_that_were_published_last() {
    let dns = Dns::start().await.expect("a server");
    let first = Ipv4Addr::new(127, 0, 1, 1);
    let second = Ipv4Addr::new(127, 0, 1, 2);
    for published in [vec![first], vec![first, second], vec![second]] {
        dns.publish("service1", &published).await.expect("a name");
        let (code, mut addresses) = ask(dns.address(), "service1", RecordType::A).await;
        addresses.sort();
        assert_eq!((code, addresses), (ResponseCode::NoError, published));
    }
}

#[tokio::test]
async fn a_name_with_other_records_only_is_an_empty_answer() {
    let dns = Dns::start().await.expect("a server");
    dns.publish("service1", &[Ipv4Addr::new(127, 0, 1, 1)]).await.expect("a name");
    assert_eq!(ask(dns.address(), "service1", RecordType::AAAA).await, (ResponseCode::NoError, vec![]));
}

#[tokio::test]
async fn an_unknown_or_withdrawn_name_does_not_exist() {
    let dns = Dns::start().await.expect("a server");
    assert_eq!(ask(dns.address(), "service3", RecordType::A).await, (ResponseCode::NXDomain, vec![]));
    dns.publish("service1", &[Ipv4Addr::new(127, 0, 1, 1)]).await.expect("a name");
    dns.publish("service1", &[]).await.expect("a name");
    assert_eq!(ask(dns.address(), "service1", RecordType::A).await, (ResponseCode::NXDomain, vec![]));
}
