//! Values as JSON, in and out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wsloop::{Config, Peer, SendStatus, SharedMessage};

use super::common::{Client, Script, Server, frame};

/// What is said about a ship. It borrows from the message.
#[derive(Deserialize, Serialize)]
struct Report<'a> {
    ship: &'a str,
    knots: f64,
}

/// Something that JSON has no word for, after much that it has.
fn no_json() -> (Vec<u32>, BTreeMap<[u8; 2], u8>) {
    ((0..1000).collect(), BTreeMap::from([([1, 2], 3)]))
}

/// A server whose handler does something with each peer that says anything.
fn server(mut on_message: impl FnMut(&mut Peer<'_>) + Send + 'static) -> Server {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(move |peer, _| on_message(peer));
    Server::start(Config::new(), (script, told))
}

#[track_caller]
fn ask(server: &Server, client: &mut Client) {
    client.send("81 01 '?'");
    server.told.expect("text ?");
}

#[track_caller]
fn expect(client: &mut Client, json: &str) {
    client.expect_bytes(&frame(0x81, json.as_bytes()));
}

/// Closes all, of which each was sent nothing more.
#[track_caller]
fn close(server: Server, clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn a_message_becomes_a_value_and_a_value_a_text_message() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        let report: Report<'_> = message.json().unwrap();
        let answer = Report { knots: report.knots / 2.0, ..report };
        assert_eq!(peer.send_json(&answer).unwrap(), SendStatus::Queued);
    });
    let server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    let report = r#" {"knots": 9, "ship": "Fram"} "#;
    client.send(&format!("81 {:02X} '{report}'", report.len()));
    server.told.next();
    expect(&mut client, r#"{"ship":"Fram","knots":4.5}"#);
    close(server, [client]);
}

#[test]
fn a_message_that_does_not_parse_is_an_error_with_a_position_and_the_peer_stays() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        let error = message.json::<Report<'_>>().map(drop).unwrap_err();
        peer.send_json(&(error.line(), error.column())).unwrap();
    });
    let server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    client.send(r#"81 12 '{' 0A '  "ship": Fram' 0A '}'"#);
    server.told.next();
    expect(&mut client, "[2,11]");
    // Binary is read as well, if it is UTF-8.
    client.send("82 03 '[' FF ']'");
    server.told.next();
    expect(&mut client, "[1,2]");
    close(server, [client]);
}

#[test]
fn what_cannot_be_serialised_is_sent_to_nobody_and_not_in_part() {
    let server = server(|peer| {
        let id = peer.id();
        assert!(peer.subscribe("all"));
        peer.send_json(&no_json()).unwrap_err();
        peer.broadcast_json(&no_json()).unwrap_err();
        peer.publish_json("all", &no_json()).unwrap_err();
        let peers = peer.peers();
        peers.send_json(id, &no_json()).unwrap_err();
        peers.broadcast_json(&no_json()).unwrap_err();
        peers.broadcast_json_except(id, &no_json()).unwrap_err();
        peers.publish_json("all", &no_json()).unwrap_err();
        peers.publish_json_except(id, "all", &no_json()).unwrap_err();
        SharedMessage::json(&no_json()).unwrap_err();
        // Nothing of all that stands before what can be.
        peer.send_json(&[1, 2]).unwrap();
    });
    let [mut one, mut two] = [(); 2].map(|()| server.open());
    ask(&server, &mut one);
    expect(&mut one, "[1,2]");
    ask(&server, &mut two);
    expect(&mut two, "[1,2]");
    close(server, [one, two]);
}

#[test]
fn values_reach_those_whom_messages_would() {
    let (mut script, told) = Script::echo();
    let mut opened = 0;
    script.on_open = Box::new(move |peer| {
        opened += 1;
        assert!(opened > 2 || peer.subscribe("news"));
    });
    script.on_message = Box::new(|peer, _| speak_to_everyone(peer).unwrap());
    let server = Server::start(Config::new(), (script, told));
    let [mut asking, mut reader, mut other] = [(); 3].map(|()| server.open());
    ask(&server, &mut asking);
    for json in ["all", "subscribers", "shared"] {
        expect(&mut asking, &format!("{json:?}"));
    }
    for json in ["peer: else", "peer: others", "all", "else", "subscribers", "others"] {
        expect(&mut reader, &format!("{json:?}"));
    }
    for json in ["peer: else", "all", "else"] {
        expect(&mut other, &format!("{json:?}"));
    }
    close(server, [asking, reader, other]);
}

/// Says to whom each value goes.
fn speak_to_everyone(peer: &mut Peer<'_>) -> Result<(), serde_json::Error> {
    let id = peer.id();
    peer.broadcast_json("peer: else")?;
    peer.publish_json("news", "peer: others")?;
    let peers = peer.peers();
    peers.broadcast_json("all")?;
    peers.broadcast_json_except(id, "else")?;
    peers.publish_json("news", "subscribers")?;
    peers.publish_json_except(id, "news", "others")?;
    peers.send_shared(id, &SharedMessage::json("shared")?);
    Ok(())
}

#[test]
fn what_is_published_to_nobody_is_not_serialised() {
    let server = server(|peer| {
        let id = peer.id();
        peer.peers().publish_json("nobody's", &no_json()).unwrap();
        peer.peers().publish_json_except(id, "nobody's", &no_json()).unwrap();
        peer.publish_json("nobody's", &no_json()).unwrap();
    });
    let mut client = server.open();
    ask(&server, &mut client);
    close(server, [client]);
}

#[test]
fn whoever_is_gone_is_sent_nothing_which_is_no_error() {
    let server = server(|peer| {
        let id = peer.id();
        peer.abort();
        assert_eq!(peer.peers().send_json(id, "gone").unwrap(), SendStatus::Dropped);
    });
    let mut client = server.open();
    ask(&server, &mut client);
    server.told.expect("close 1006 unclean Aborted");
    client.expect_gone();
    server.stop();
}
