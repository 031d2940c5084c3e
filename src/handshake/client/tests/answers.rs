//! Answers that establish a connection, and those that do not.

use super::*;

#[test]
fn frames_begin_where_the_answer_ends() {
    let answer = [&response().encode()[..], b"\x81\x05Hello\x88\x00"].concat();
    let (reply, taken) = deliver_in_all_ways(&offering(&[], &[]), &answer);
    assert!(matches!(reply, Ok(Some(Reply::Established(_)))), "{reply:?}");
    assert_eq!(&answer[taken..], b"\x81\x05Hello\x88\x00");
}

#[test]
fn neither_case_nor_order_nor_whitespace_of_fields_matters() {
    let answer = "HTTP/1.1 101\r\nset-cookie: a=1\r\nsEc-wEbSoCkEt-aCcEpT: \t";
    let answer = format!(
        "{answer}{ACCEPT}\t \r\nCONNECTION:keep-alive,upgrade\r\nupgrade:WebSocket\r\n\
         Set-Cookie:b=2\r\nX: \u{80}\r\n\r\n"
    );
    let (reply, _) = deliver_in_all_ways(&offering(&["a"], &[]), answer.as_bytes());
    let Ok(Some(Reply::Established(established))) = reply else { panic!("{reply:?}") };
    assert_eq!(established.subprotocol(), None);
    assert_eq!(established.extensions().count(), 0);
    let head = established.head();
    let cookies = head.fields().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
    assert_eq!(cookies.map(|(_, value)| value).collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    assert_eq!((head.status(), head.field("SET-COOKIE")), (101, Some("a=1")));
}

#[test]
fn upgrade_is_websocket_and_nothing_else() {
    for value in ["websocket", "WebSocket", " WEBSOCKET\t"] {
        check("Upgrade", &[value], None);
    }
    for lines in [
        &[][..],
        &[""],
        &["foo"],
        &["websocket2"],
        &["websocket, foo"],
        &["websocket/13"],
        &["websocket,"],
        &["websocket", "websocket"],
    ] {
        check("Upgrade", lines, Some(ResponseError::Upgrade));
    }
}

#[test]
fn connection_lists_upgrade() {
    for lines in [&["upgrade"][..], &["close, Upgrade"], &["close", "Upgrade"], &[",UPGRADE,"]] {
        check("Connection", lines, None);
    }
    for lines in [&[][..], &[""], &["close"], &["Upgrader"], &["Upgrade x"]] {
        check("Connection", lines, Some(ResponseError::Connection));
    }
}

#[test]
fn the_accept_key_answers_ours() {
    check(ACCEPT_FIELD, &[format!("\t {ACCEPT} \t")], None);
    for value in [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "s3pplmbitxaq9kygzzhzrbk+xoo=",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo==",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        // Our key itself, and what a server that hashes its 16 bytes would send.
        "dGhlIHNhbXBsZSBub25jZQ==",
        "\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
    ] {
        check(ACCEPT_FIELD, &[value], Some(ResponseError::AcceptKey));
    }
    check(ACCEPT_FIELD, &[""; 0], Some(ResponseError::NoAcceptKey));
    check(ACCEPT_FIELD, &[ACCEPT, ACCEPT], Some(ResponseError::RepeatedAcceptKey));
    check(ACCEPT_FIELD, &[ACCEPT, "x"], Some(ResponseError::RepeatedAcceptKey));
    check(ACCEPT_FIELD, &["x", ACCEPT], Some(ResponseError::RepeatedAcceptKey));
}

#[test]
fn extensions_are_those_that_were_offered() {
    let name = "Sec-WebSocket-Extensions";
    for lines in [&[][..], &["x"], &["x; p=\"2\""], &["x;q"]] {
        check(name, lines, None);
    }
    for lines in [&["y"][..], &["X"], &["x, y"], &["permessage-deflate"]] {
        check(name, lines, Some(ResponseError::UnofferedExtension));
    }
    for lines in [&["x, x; p=1"][..], &["x", "x"]] {
        check(name, lines, Some(ResponseError::RepeatedExtension));
    }
    for lines in [&[""][..], &[";;"], &["x;"], &["x; p=\"a b\""], &["x; p=\""], &["x y"], &["é"]] {
        check(name, lines, Some(ResponseError::Extensions));
    }
    // Erratum 3433: also in a response there may be several lines.
    let request = offering(&[], &["x; p=1", "y", "z"]);
    let established = established(&request, &response().with(name, &["z", "x; p=9"]));
    let agreed: Vec<_> = established.extensions().map(|it| it.name()).collect();
    assert_eq!(agreed, ["z", "x"]);
    let none = deliver_in_all_ways(
        &offering(&[], &[]),
        &response().with(name, &["permessage-deflate"]).encode(),
    );
    assert_eq!(none.0, Err(ResponseError::UnofferedExtension));
}

#[test]
fn the_subprotocol_is_one_of_those_that_were_offered() {
    let name = "Sec-WebSocket-Protocol";
    for lines in [&[][..], &["a"], &[" a\t"]] {
        check(name, lines, None);
    }
    for lines in [&["b"][..], &["A"], &["a, b"], &["a,"], &[""], &["a b"], &["é"]] {
        check(name, lines, Some(ResponseError::UnofferedSubprotocol));
    }
    check(name, &["a", "a"], Some(ResponseError::RepeatedSubprotocol));
    check(name, &["a", "b"], Some(ResponseError::RepeatedSubprotocol));
    let established = established(&offering(&["b", "a"], &[]), &response().with(name, &["a"]));
    assert_eq!(established.subprotocol(), Some("a"));
    let unasked = response().with(name, &["a"]).encode();
    fails(unasked, ResponseError::UnofferedSubprotocol);
}

#[test]
fn a_client_may_require_a_subprotocol() {
    let request = offering(&["a"], &[]).require_subprotocol();
    let (reply, _) = deliver_in_all_ways(&request, &response().encode());
    assert_eq!(reply, Err(ResponseError::NoSubprotocol));
    established(&request, &response().with("Sec-WebSocket-Protocol", &["a"]));
    // Where none is offered, there is none to require.
    established(&offering(&[], &[]).require_subprotocol(), &response());
}

#[test]
fn a_101_has_no_content() {
    check("Content-Length", &["0"], None);
    for lines in [&["5"][..], &["x"], &[""], &["+0"], &["0", "0"], &["-1"]] {
        check("Content-Length", lines, Some(ResponseError::Content));
    }
    for coding in ["chunked", "identity", ""] {
        check("Transfer-Encoding", &[coding], Some(ResponseError::Content));
    }
}

#[test]
fn faults_are_judged_in_order() {
    let all = response()
        .with("Upgrade", &["h2c"])
        .with("Connection", &["close"])
        .with(ACCEPT_FIELD, &["x"])
        .with("Content-Length", &["1"])
        .with("Sec-WebSocket-Extensions", &["x"])
        .with("Sec-WebSocket-Protocol", &["a"]);
    fails(all.clone().line("HTTP/1.0 101 x").encode(), ResponseError::HttpVersion);
    fails(all.encode(), ResponseError::Upgrade);
    let all = all.with("Upgrade", &["websocket"]);
    fails(all.encode(), ResponseError::Connection);
    let all = all.with("Connection", &["upgrade"]);
    fails(all.encode(), ResponseError::AcceptKey);
    let all = all.with(ACCEPT_FIELD, &[ACCEPT]);
    fails(all.encode(), ResponseError::Content);
    let all = all.with("Content-Length", &["0"]);
    fails(all.encode(), ResponseError::UnofferedExtension);
    let all = all.with("Sec-WebSocket-Extensions", &[""; 0]);
    fails(all.encode(), ResponseError::UnofferedSubprotocol);
}

#[test]
fn interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=x\r\nSec-WebSocket-Accept: x\r\n\r\n\
        HTTP/1.1 199\r\nContent-Length: 5\r\n\r\n";
    let answer = [interim.as_bytes(), &response().encode(), b"\x81"].concat();
    let (reply, taken) = deliver_in_all_ways(&offering(&[], &[]), &answer);
    assert!(matches!(reply, Ok(Some(Reply::Established(_)))), "{reply:?}");
    assert_eq!(taken, answer.len() - 1);
    let refusal = refused(format!("{interim}HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(refusal.status(), 403);
}

#[test]
fn interim_responses_come_to_an_end() {
    let eight = "HTTP/1.1 100 Continue\r\n\r\n".repeat(8);
    let answer = [eight.as_bytes(), &response().encode()].concat();
    let (reply, _) = deliver_in_all_ways(&offering(&[], &[]), &answer);
    assert!(matches!(reply, Ok(Some(Reply::Established(_)))));
    fails(eight + "HTTP/1.1 102 Processing\r\n\r\n", ResponseError::TooManyInterim);
}
