//! MQTT by mosquitto, which counts messages in `$SYS`.

use crate::harness::{Server, assert_whole};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wsbench::codec::mqtt::{self, Connect, Packet, Qos};
use wsbench::measure::Outcome;

const ARMS: &str = "
    [target.urls]
    tcp = \"mqtt://127.0.0.1:PORT\"
    websocket = \"ws://127.0.0.1:PORT2\"
    [transports.tcp]
    [transports.websocket]
    ";

/// A client of the broker's own topics: the latest value of each, as it was before the client came.
fn latest(server: &Server, topics: &[&str]) -> Vec<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut say = Vec::new();
    mqtt::connect(Connect { client_id: "reader", user: None, password: None }, &mut say);
    (1..).zip(topics).for_each(|(id, topic)| mqtt::subscribe(id, topic, Qos::AtMostOnce, &mut say));
    stream.write_all(&say).unwrap();
    let mut values = vec![None; topics.len()];
    let mut came = Vec::new();
    while values.contains(&None) {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).unwrap();
        assert_ne!(n, 0);
        came.extend_from_slice(&buffer[..n]);
        let mut used = 0;
        while let Some((packet, size)) = mqtt::next(&came[used..]).unwrap() {
            if let Packet::Publish { topic, payload, .. } = packet {
                let nth = topics.iter().position(|known| known.as_bytes() == topic).unwrap();
                let value = std::str::from_utf8(payload).unwrap().parse().unwrap();
                values[nth].get_or_insert(value);
            }
            used += size;
        }
        came.drain(..used);
    }
    values.into_iter().flatten().collect()
}

/// What the broker counts once `published` messages are among it.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    /// Packets of clients, and those of them that are messages.
    packets: u64,
    published: u64,
    /// Messages to clients.
    delivered: u64,
}

/// Without what the reader of the counts adds to them.
fn counted(server: &Server, published: u64) -> Counted {
    const TOPICS: [&str; 3] =
        ["$SYS/broker/messages/received", "$SYS/broker/publish/messages/received", "$SYS/broker/publish/messages/sent"];
    let topics = TOPICS.len() as u64;
    for reads in 0.. {
        // It tells them once a second.
        std::thread::sleep(Duration::from_millis(2500));
        let values = latest(server, &TOPICS);
        if values[1] >= published || reads == 10 {
            // A CONNECT and the SUBSCRIBEs, and a message for each.
            let [packets, delivered] = [values[0] - reads * (1 + topics), values[2] - reads * topics];
            return Counted { packets, published: values[1], delivered };
        }
    }
    unreachable!()
}

#[test]
fn rooms_over_tcp_and_websocket_in_one_run_are_what_the_broker_counts() {
    const SESSIONS: u64 = 20;
    let chat =
        "[workload.chat]\nrooms = 4\n[load]\nsessions = 20\nrate = \"100/s\"\nwarmup = \"200ms\"\nduration = \"1s\"\n";
    for qos in [0, 1] {
        let Some(server) = Server::start("mosquitto") else { return };
        let ran = server.run(&format!("{chat}[dialect.mqtt]\nqos = {qos}\n{ARMS}"), &[]).well();
        let outcomes = ran.outcomes();
        assert_whole(&outcomes);
        outcomes.iter().for_each(|(_, outcome)| assert_eq!(outcome.measure.expected, outcome.measure.sent * 5));
        let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<u64>();
        let (published, delivered) = (sum(|o| o.traffic.sent.messages), sum(|o| o.traffic.received.messages));
        // A session's CONNECT, SUBSCRIBE and DISCONNECT; its messages; and what it acknowledges.
        let packets = 2 * SESSIONS * 3 + published + qos * delivered;
        let seen = counted(&server, published);
        assert_eq!((seen.packets, seen.published), (packets, published));
        // mosquitto 2.0 leaves out of the latter what it sends at QoS 1 over WebSocket.
        if qos == 0 {
            assert_eq!(seen.delivered, delivered);
        }
        assert!(!server.log().contains("already connected"), "{}", server.log());
    }
}

#[test]
fn topics_are_published_to_by_sessions_that_receive_nothing() {
    let Some(server) = Server::start("mosquitto") else { return };
    let push =
        "[workload.push]\ntopics = 2\nformat = \"binary\"\n[load]\nsessions = 10\nrate = \"50/s\"\nduration = \"1s\"\n";
    let ran = server.run(&format!("{push}[dialect.mqtt]\ntopic = \"score/{{room}}/x\"\n{ARMS}"), &[]).well();
    let outcomes = ran.outcomes();
    assert_whole(&outcomes);
    for (_, outcome) in &outcomes {
        assert_eq!(outcome.traffic.received.messages, outcome.traffic.sent.messages * 5);
    }
}

#[test]
fn a_session_has_its_own_messages_back_over_every_engine() {
    let Some(server) = Server::start("mosquitto") else { return };
    let echo = "[workload.echo]\npayload = { min = \"32B\", max = \"20KiB\" }\n[load]\nsessions = 5\narrival = \"closed\"\nduration = \"500ms\"\n";
    let more = "[transports.fast]\ntransport = \"websocket\"\nengine = \"fastwebsockets\"\n\
                [transports.tungstenite]\ntransport = \"websocket\"\nengine = \"tungstenite\"\n";
    let arms = ARMS.replace(
        "[transports.tcp]",
        "fast = \"ws://127.0.0.1:PORT2\"\ntungstenite = \"ws://127.0.0.1:PORT2\"\n[transports.tcp]",
    );
    for qos in [0, 1] {
        let ran = server.run(&format!("{echo}[dialect.mqtt]\nqos = {qos}\n{arms}{more}"), &[]).well();
        let outcomes = ran.outcomes();
        assert_eq!(outcomes.len(), 4);
        assert_whole(&outcomes);
    }
}

#[test]
fn connects_end_with_the_echo_of_one_message() {
    let Some(server) = Server::start("mosquitto") else { return };
    let connect = "[workload.connect]\n[load]\nsessions = 20\nrate = \"40/s\"\nduration = \"1s\"\n";
    let ran = server.run(&format!("{connect}[dialect.mqtt]\n{ARMS}"), &[]).well();
    assert_whole(&ran.outcomes());
}

#[test]
fn a_password_opens_what_is_closed_to_others_and_stays_here() {
    let Some(server) = Server::start("mosquitto") else { return };
    let echo = "[workload.echo]\n[load]\nsessions = 2\nrate = \"40/s\"\nduration = \"300ms\"\n";
    let arm = "[target.urls]\ntcp = \"mqtt://127.0.0.1:PORT3\"\n[transports.tcp]\n";
    let ran =
        server.run(&format!("{echo}[dialect.mqtt]\nuser = \"limited\"\npassword = \"hunter2\"\n{arm}"), &[]).well();
    assert_whole(&ran.outcomes());
    let result = std::fs::read_to_string(ran.out.join("result.json")).unwrap();
    assert!(result.contains("limited") && !result.contains("hunter2"));

    let ran = server.run(&format!("{echo}[dialect.mqtt]\n{arm}"), &[]);
    let refused = ran.outcomes();
    assert_eq!(refused[0].1.errors.get("join-refused"), Some(&2), "{:?}", refused[0].1.errors);
    assert_eq!(refused[0].1.sessions.connected, 0);
}
