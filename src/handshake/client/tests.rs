use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::handshake::testing::Handshake;
use crate::handshake::{
    Acceptance, Credentials, HeadBuffer, HeadLimits, InvalidField, Method, OriginPolicy, Policy,
    Refusal, Request, UrlError, WsUrl,
};

/// The key of RFC 6455 §1.3, `dGhlIHNhbXBsZSBub25jZQ==`.
const KEY: [u8; 16] = *b"the sample nonce";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(url: &str) -> ClientRequest {
    ClientRequest::new(WsUrl::parse_with_credentials(url).unwrap())
}

/// A request that offers subprotocols and extensions.
fn offering(subprotocols: &[&str], extensions: &[&str]) -> ClientRequest {
    let request = request("ws://server.example/chat");
    let add = |request: ClientRequest, it: &&str| request.subprotocol(it).unwrap();
    let request = subprotocols.iter().fold(request, add);
    extensions.iter().fold(request, |request, it| request.extension(it).unwrap())
}

fn encode(request: &ClientRequest) -> String {
    let mut output = Vec::new();
    request.encode(KEY, &mut output);
    String::from_utf8(output).unwrap()
}

/// The answer that completes the handshake, in parts that tests may change.
fn response() -> Handshake {
    let fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), (ACCEPT_FIELD, ACCEPT)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
    Handshake { line: "HTTP/1.1 101 Switching Protocols".to_owned(), fields: fields.into() }
}

const ACCEPT_FIELD: &str = "Sec-WebSocket-Accept";

type Outcome = (Result<Option<Reply>, ResponseError>, usize);

/// What comes of an answer in pieces, and how many bytes were taken until then.
fn deliver<'p>(request: &ClientRequest, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut handshake = ClientHandshake::start(request, KEY, &mut Vec::new());
    let mut taken = 0;
    for mut piece in pieces {
        let length = piece.len();
        let reply = handshake.receive(&mut piece);
        taken += length - piece.len();
        match reply {
            Ok(None) => assert!(piece.is_empty(), "input is used up before more is asked for"),
            Ok(Some(reply)) => {
                let mut more = &b"more"[..];
                assert_eq!((handshake.receive(&mut more), more), (Ok(None), &b"more"[..]));
                assert_eq!(handshake.end(), Ok(None), "a reply is given once");
                return (Ok(Some(reply)), taken);
            }
            Err(error) => {
                assert_eq!(handshake.receive(&mut &b"HTTP/1.1 101"[..]), Err(error), "for good");
                assert_eq!(handshake.end(), Err(error), "for good");
                return (Err(error), taken);
            }
        }
    }
    (Ok(None), taken)
}

/// Delivers an answer whole, byte by byte, and cut in two; all must come to the same.
#[track_caller]
fn deliver_in_all_ways(request: &ClientRequest, answer: &[u8]) -> Outcome {
    let expected = deliver(request, [answer]);
    assert_eq!(deliver(request, answer.chunks(1)), expected, "byte by byte");
    for middle in (0..answer.len()).step_by(1 + answer.len() / 500) {
        let (first, second) = answer.split_at(middle);
        assert_eq!(deliver(request, [first, second]), expected, "cut at {middle}");
    }
    expected
}

#[track_caller]
fn established(request: &ClientRequest, answer: &Handshake) -> Established {
    match deliver_in_all_ways(request, &answer.encode()).0 {
        Ok(Some(Reply::Established(established))) => established,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(answer: impl AsRef<[u8]>) -> ServerRefusal {
    match deliver_in_all_ways(&offering(&[], &[]), answer.as_ref()).0 {
        Ok(Some(Reply::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Checks that an answer fails the connection.
#[track_caller]
fn fails(answer: impl AsRef<[u8]>, error: ResponseError) {
    assert_eq!(deliver_in_all_ways(&offering(&[], &[]), answer.as_ref()).0, Err(error));
}

/// Checks what comes of these lines for one field of the answer.
#[track_caller]
fn check<V: AsRef<[u8]>>(name: &str, lines: &[V], expected: Option<ResponseError>) {
    let answer = response().with(name, lines).encode();
    let (reply, taken) = deliver_in_all_ways(&offering(&["a"], &["x; p=1"]), &answer);
    assert_eq!(reply.err(), expected, "{}", answer.escape_ascii());
    assert_eq!(taken, answer.len());
}

mod requests {
    use super::*;

    #[test]
    fn a_request_says_what_it_must_and_nothing_else() {
        assert_eq!(
            encode(&request("ws://server.example/chat")),
            "GET /chat HTTP/1.1\r\n\
             Host: server.example\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\
             \r\n"
        );
    }

    #[test]
    fn a_request_says_what_it_is_told_in_order() {
        let request = offering(&["b", "a.v1"], &["x; p=1", "y"])
            .header("X-First", " 1\t")
            .unwrap()
            .cookie("session", "1=2")
            .unwrap()
            .origin("https://a.example")
            .unwrap()
            .header("cookie", "c=\"3\"; d= ")
            .unwrap()
            .credentials(Credentials::new("u", "p").unwrap());
        let encoded = encode(&request);
        let (_, rest) = encoded.split_once("Version: 13\r\n").unwrap();
        assert_eq!(
            rest,
            "Sec-WebSocket-Protocol: b, a.v1\r\n\
             Sec-WebSocket-Extensions: x; p=1,y\r\n\
             Authorization: Basic dTpw\r\n\
             Cookie: session=1=2; c=\"3\"; d=\r\n\
             X-First: 1\r\n\
             Origin: https://a.example\r\n\
             \r\n"
        );
    }

    #[test]
    fn host_has_the_port_unless_it_is_the_default() {
        for (url, host) in [
            ("ws://h:80/", "h"),
            ("ws://h:81/", "h:81"),
            ("wss://h:443", "h"),
            ("wss://h:80/", "h:80"),
            ("ws://[::1]:9/", "[::1]:9"),
            ("ws://u:p@h/", "h"),
        ] {
            let encoded = encode(&request(url));
            assert!(encoded.contains(&format!("\r\nHost: {host}\r\n")), "{encoded}");
            assert_eq!(encoded.matches("Host:").count(), 1);
        }
    }

    #[test]
    fn credentials_of_the_url_are_sent_unless_others_are_set() {
        let url = request("ws://u:p@h/");
        let authorization = |request: &ClientRequest| {
            let encoded = encode(request);
            let mut lines = encoded.lines().filter_map(|it| it.strip_prefix("Authorization: "));
            let line = lines.next().map(String::from);
            assert_eq!(lines.next(), None);
            line
        };
        assert_eq!(authorization(&request("ws://h/")), None);
        assert_eq!(authorization(&url).as_deref(), Some("Basic dTpw"));
        let others = url.clone().credentials(Credentials::new("U", "P").unwrap());
        assert_eq!(authorization(&others).as_deref(), Some("Basic VTpQ"));
        let bearer = others.header("authorization", "Bearer x").unwrap();
        assert!(!encode(&bearer).contains("Basic"));
        assert!(!format!("{url:?}").contains("\"p\""), "{url:?}");
    }

    #[test]
    fn offered_subprotocols_are_distinct_tokens() {
        let offer = |name| request("ws://h/").subprotocol("a").unwrap().subprotocol(name).err();
        for name in ["b", "A", "a.v1", "!#$%&'*+-.^_`|~"] {
            assert_eq!(offer(name), None, "{name}");
        }
        for name in ["", "a,b", "a b", " b", "é", "b\r\nX: 1", "b;", "b\0", "(b)"] {
            assert_eq!(offer(name), Some(InvalidOffer::Subprotocol), "{name:?}");
        }
        assert_eq!(offer("a"), Some(InvalidOffer::Repeated));
    }

    #[test]
    fn offered_extensions_follow_the_grammar() {
        let offer = |text| request("ws://h/").extension(text).err();
        assert_eq!(offer("permessage-deflate; client_max_window_bits"), None);
        for text in ["", ",", ";;", "x;", "x; p=", "x\r\nY: z", "x; p=\"\r\n\"", "é", "x y"] {
            assert_eq!(offer(text), Some(InvalidOffer::Extension), "{text:?}");
        }
    }

    #[test]
    fn no_field_is_injected_and_none_of_the_handshake_is_overridden() {
        let header = |name, value: &str| request("ws://h/").header(name, value).err();
        for name in ["Host", "upgrade", "Connection", "Sec-WebSocket-Key", "sec-websocket-protocol"]
        {
            assert_eq!(header(name, "x"), Some(InvalidField::Reserved), "{name}");
        }
        for name in ["Content-Length", "Transfer-Encoding", "Proxy-Authorization"] {
            assert_eq!(header(name, "x"), Some(InvalidField::Reserved), "{name}");
        }
        for value in ["a\r\nX: y", "a\n", "\r", "\0", "\u{7f}"] {
            assert_eq!(header("X", value), Some(InvalidField::Value), "{value:?}");
            assert_eq!(header("Cookie", value), Some(InvalidField::Value), "{value:?}");
            assert!(request("ws://h/").origin(value).is_err());
            assert!(request("ws://h/").cookie("a", value).is_err());
        }
        assert_eq!(header("X Y", "x"), Some(InvalidField::Name));
        assert!(request("ws://h/").cookie("a=b", "").is_err());
        for value in ["a;b", "a,b", "a b", "\"a\"", "\\", "é"] {
            assert_eq!(request("ws://h/").cookie("a", value).err(), Some(InvalidField::Value));
        }
        let origin = request("ws://h/").origin("https://a").unwrap();
        assert_eq!(origin.origin("https://b").err(), Some(InvalidField::Repeated));
    }

    proptest! {
        /// The request is what an HTTP server takes for the one that was meant.
        #[test]
        fn a_request_parses_to_what_it_was_made_of(
            path in "/[ -~é\r\n]{0,20}",
            fields in prop::collection::vec(("X-[ -~\r\n]{0,5}", "[\0-~é]{0,9}"), 0..4),
            key: [u8; 16],
        ) {
            let Ok(url) = WsUrl::parse(&format!("ws://h{path}")) else { return Ok(()) };
            let (mut request, mut sent) = (ClientRequest::new(url), vec![]);
            for (name, value) in fields {
                if let Ok(with) = request.clone().header(&name, &value) {
                    request = with;
                    sent.push((name, crate::handshake::syntax::trim(value.as_bytes()).to_vec()));
                }
            }
            let mut head = Vec::new();
            request.encode(key, &mut head);
            let parsed = Request::parse(&head, &HeadLimits::default()).unwrap();
            prop_assert!(parsed.is_upgrade());
            prop_assert_eq!(parsed.target(), request.url().resource_name());
            let received = parsed.fields().skip(5);
            let received: Vec<_> =
                received.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            prop_assert_eq!(received, sent);
        }
    }
}

mod answers {
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
        for lines in [&["upgrade"][..], &["close, Upgrade"], &["close", "Upgrade"], &[",UPGRADE,"]]
        {
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
        for lines in
            [&[""][..], &[";;"], &["x;"], &["x; p=\"a b\""], &["x; p=\""], &["x y"], &["é"]]
        {
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
}

mod hostile_servers {
    use super::*;

    #[test]
    fn what_is_not_http_fails_at_its_first_byte() {
        for first in 0..=u8::MAX {
            let (reply, taken) = deliver(&offering(&[], &[]), [&[first, first][..]]);
            let (expected, expected_taken) = match first {
                b'H' => (ResponseError::NotHttp, 2),
                0x15 | 0x16 => (ResponseError::Tls, 1),
                _ => (ResponseError::NotHttp, 1),
            };
            assert_eq!((reply, taken), (Err(expected), expected_taken), "{first:#04x}");
        }
        fails(b"\x15\x03\x01\x00\x02\x02\x46", ResponseError::Tls);
        fails("HTTPS/1.1 101 x\r\n\r\n", ResponseError::NotHttp);
        fails("SSH-2.0-OpenSSH_9.6\r\n", ResponseError::NotHttp);
        fails("\r\nHTTP/1.1 101 x\r\n\r\n", ResponseError::NotHttp);
        fails("HTT\r\n", ResponseError::NotHttp);
    }

    #[test]
    fn a_status_line_is_judged_at_its_end() {
        for line in ["HTTP/1.1\r\n", "HTTP/1.1 1\r\n", "HTTP/ 101 x\r\n", "HTTP/1.1 600x\r\n"] {
            fails(line, ResponseError::StatusLine);
        }
        fails("HTTP/2.0 101 x\r\n", ResponseError::HttpVersion);
        fails(response().line("HTTP/1.0 101 x").encode(), ResponseError::HttpVersion);
        for byte in (0..b' ').chain([0x7F]).filter(|byte| !b"\r\n\t".contains(byte)) {
            fails([b"HTTP/1.1 101 x", &[byte][..]].concat(), ResponseError::StatusLine);
        }
    }

    #[test]
    fn lines_end_with_crlf_and_nothing_else() {
        for head in [
            "HTTP/1.1 101 x\n",
            "HTTP/1.1 101 x\rX",
            "HTTP/1.1 101 x\r\r\n",
            "HTTP/1.1 101 x\r\nA: b\n",
            "HTTP/1.1 101 x\r\nA: b\rc",
            "HTTP/1.1 101 x\r\nA: b\r\n\n",
            "HTTP/1.1 101 x\r\nA: b\r\n\r\r",
        ] {
            fails(head, ResponseError::LineEnd);
        }
    }

    #[test]
    fn fields_are_names_with_values_on_one_line() {
        for field in
            ["A : b", ": b", "A b: c", "A", " A: b", "A: b\r\n c", "A: b\r\n\tc", "é: b", "A\t: b"]
        {
            let head = format!("HTTP/1.1 101 x\r\n{field}\r\n\r\n");
            fails(head, ResponseError::Field);
        }
        for byte in (0..b' ').chain([0x7F]).filter(|byte| !b"\r\n\t".contains(byte)) {
            fails([b"HTTP/1.1 101 x\r\nA: ", &[byte][..]].concat(), ResponseError::Field);
        }
    }

    #[test]
    fn a_head_has_a_limit() {
        let limits = ResponseLimits { max_head_size: 100, max_headers: 2, max_body_size: 9 };
        let run = |answer: &str, by: usize| {
            let start = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
            let mut handshake = start.limits(limits);
            let mut pieces = answer.as_bytes().chunks(by);
            pieces.find_map(|mut piece| handshake.receive(&mut piece).transpose())
        };
        let line = "HTTP/1.1 404 x\r\n";
        let head = |len: usize| format!("{line}A: {}\r\n\r\n", "b".repeat(len - line.len() - 7));
        for by in [1, 7, 1000] {
            assert_eq!(run(&head(100), by), None, "the body follows");
            assert_eq!(run(&head(101), by), Some(Err(ResponseError::HeadTooLarge)));
            assert_eq!(run(&head(100_000), by), Some(Err(ResponseError::HeadTooLarge)));
            let reason = format!("HTTP/1.1 404 {}", "x".repeat(1000));
            assert_eq!(run(&reason, by), Some(Err(ResponseError::HeadTooLarge)));
            assert_eq!(run(&format!("{line}A:\r\nB:\r\n\r\n"), by), None);
            let three = format!("{line}A:\r\nB:\r\nC:\r\n\r\n");
            assert_eq!(run(&three, by), Some(Err(ResponseError::TooManyFields)));
        }
    }

    #[test]
    fn an_endless_head_is_cut_at_the_limit() {
        let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
        assert_eq!(handshake.receive(&mut &b"HTTP/1.1 101 x\r\n"[..]), Ok(None));
        let mut sent = 16;
        let error = loop {
            match handshake.receive(&mut &b"A: b\r\n"[..]) {
                Ok(reply) => assert_eq!(reply, None),
                Err(error) => break error,
            }
            sent += 6;
        };
        assert_eq!(error, ResponseError::HeadTooLarge);
        let limit = ResponseLimits::default().max_head_size;
        assert!((limit - 6..=limit).contains(&sent), "{sent}");
    }

    #[test]
    fn a_stream_that_ends_early_is_no_answer() {
        let answer = response().encode();
        for end in 0..answer.len() {
            let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
            assert_eq!(handshake.receive(&mut &answer[..end]), Ok(None));
            let error =
                if end == 0 { ResponseError::NoResponse } else { ResponseError::Incomplete };
            assert_eq!(handshake.end(), Err(error));
        }
        let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
        assert_eq!(handshake.receive(&mut &b"HTTP/1.1 100 x\r\n\r\n"[..]), Ok(None));
        assert_eq!(handshake.end(), Err(ResponseError::Incomplete));
    }

    proptest! {
        /// Whatever a server answers, cutting it does not matter, and nothing panics.
        #[test]
        fn no_answer_is_too_strange(
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            status in prop::sample::select(vec!["101", "100", "200", "302", "401"]),
            framing in prop::sample::select(vec![
                ("Content-Length", "7"), ("Transfer-Encoding", "chunked"), ("Location", "/b"),
            ]),
            middle: prop::sample::Index,
        ) {
            let answer = response()
                .line(&format!("HTTP/1.1 {status} x"))
                .with(framing.0, &[framing.1])
                .with("Sec-WebSocket-Extensions", &["x; p=\"\\z\""])
                .with("Sec-WebSocket-Protocol", &["a"]);
            let mut answer = [&answer.encode()[..], b"3\r\nabc\r\n0\r\n\r\n"].concat();
            for (index, byte) in &noise {
                let index = index.index(answer.len());
                answer[index] = *byte;
            }
            let request = offering(&["a"], &["x"]);
            let whole = deliver(&request, [&answer[..]]);
            let (first, second) = answer.split_at(middle.index(answer.len()));
            prop_assert_eq!(&deliver(&request, [first, second]), &whole);
            prop_assert_eq!(&deliver(&request, answer.chunks(1)), &whole);
            if let (Ok(Some(Reply::Refused(refusal))), _) = whole {
                _ = request.redirected(&refusal);
            }
        }
    }
}

mod refusals {
    use super::*;

    #[test]
    fn a_refusal_is_handed_on_as_it_came() {
        let refusal = refused(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
             Content-Length: 12\r\n\r\nwho are you?ignored",
        );
        assert_eq!((refusal.status(), refusal.body()), (401, &b"who are you?"[..]));
        assert_eq!(refusal.head().field("www-authenticate"), Some("Basic realm=\"x\""));
        assert_eq!(refusal.to_string(), "refused with status 401 Unauthorized");
        for status in [200, 204, 301, 304, 400, 404, 426, 500, 600, 999] {
            let answer = format!("HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n");
            assert_eq!(refused(answer).status(), status);
        }
        // Many simple servers speak HTTP/1.0 to say no, which is as good a no as any.
        assert_eq!(refused("HTTP/1.0 404 x\r\nContent-Length: 0\r\n\r\n").status(), 404);
    }

    #[test]
    fn words_of_a_server_are_escaped() {
        let refusal = refused("HTTP/1.1 400 \u{202e}\u{9b}2J\r\nContent-Length: 0\r\n\r\n");
        let shown = refusal.to_string();
        assert!(shown.is_ascii() && shown.contains("\\x"), "{shown}");
    }

    #[test]
    fn a_body_is_kept_up_to_the_limit() {
        let refusal = refused(["HTTP/1.1 500 x\r\n\r\n", &"x".repeat(5000)].concat());
        assert_eq!(refusal.body().len(), 4096);
        let refusal =
            refused("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n");
        assert_eq!(refusal.body(), b"ab");
    }

    #[test]
    fn a_body_ends_with_the_stream_or_with_patience() {
        for framing in ["", "Content-Length: 99\r\n", "Transfer-Encoding: chunked\r\n"] {
            let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
            let answer = format!("HTTP/1.1 503 x\r\n{framing}\r\n2\r\nab");
            assert_eq!(handshake.receive(&mut answer.as_bytes()), Ok(None));
            let Ok(Some(Reply::Refused(refusal))) = handshake.end() else { panic!("{framing}") };
            assert!(refusal.body().ends_with(b"ab") && refusal.status() == 503);
            assert_eq!(handshake.end(), Ok(None));
        }
    }
}

mod redirections {
    use super::*;

    fn redirection(location: &str) -> ServerRefusal {
        refused(format!("HTTP/1.1 302 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
    }

    /// Where a redirection leads.
    fn redirected(from: &str, location: &str) -> Result<String, RedirectError> {
        let request = request(from).redirected(&redirection(location))?;
        Ok(request.url().to_string())
    }

    #[test]
    fn a_location_is_resolved_against_the_url() {
        let from = "ws://h:81/a/b?q";
        for (location, expected) in [
            ("ws://x/y?z", "ws://x/y?z"),
            ("WSS://x", "wss://x/"),
            ("http://x/", "ws://x/"),
            ("https://h:81/", "wss://h:81/"),
            ("//x/y", "ws://x/y"),
            ("/c", "ws://h:81/c"),
            ("/c/../d?", "ws://h:81/d"),
            ("c", "ws://h:81/a/c"),
            ("../c?d=/../e", "ws://h:81/c?d=/../e"),
            ("?r", "ws://h:81/a/b?r"),
            ("", "ws://h:81/a/b?q"),
        ] {
            assert_eq!(redirected(from, location).as_deref(), Ok(expected), "{location}");
        }
        assert_eq!(redirected("wss://h/", "//x").as_deref(), Ok("wss://x/"));
    }

    #[test]
    fn a_location_is_as_valid_as_any_url() {
        for (location, error) in [
            ("ftp://x/", UrlError::Scheme),
            ("javascript:alert(1)", UrlError::Scheme),
            ("ws:/x", UrlError::NoAuthority),
            ("ws://", UrlError::NoHost),
            ("///x", UrlError::NoHost),
            ("//u:p@x/", UrlError::UserInformation),
            ("http://u@x/", UrlError::UserInformation),
            ("/a#b", UrlError::Fragment { at: 2 }),
            ("/a b", UrlError::Space { at: 2 }),
            ("/é", UrlError::NotAscii { at: 1 }),
            ("\\\\x", UrlError::Character { at: 0 }),
            ("ws://x:0/", UrlError::Port),
        ] {
            assert_eq!(redirected("ws://h/", location), Err(RedirectError::Location(error)));
        }
    }

    #[test]
    fn a_redirection_has_its_status_and_one_location() {
        let follow = |head: &str| {
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
            request("ws://h/").redirected(&refused(answer)).map(|_| ())
        };
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(follow(&format!("{status} x\r\nLocation: /")), Ok(()), "{status}");
        }
        for status in [200, 201, 300, 304, 305, 306, 309, 401] {
            let followed = follow(&format!("{status} x\r\nLocation: /"));
            assert_eq!(followed, Err(RedirectError::Status), "{status}");
        }
        assert_eq!(follow("302 x"), Err(RedirectError::NoLocation));
        assert_eq!(follow("302 x\r\nLocation: /\r\nLocation: /"), Err(RedirectError::NoLocation));
    }

    #[test]
    fn no_redirection_leads_out_of_tls() {
        for location in ["ws://h/", "http://h/", "ws://h:443/", "http://x"] {
            assert_eq!(redirected("wss://h/", location), Err(RedirectError::Downgrade));
        }
        assert!(redirected("wss://h/", "https://x").is_ok());
    }

    #[test]
    fn a_circle_has_an_end() {
        let mut request = request("ws://h/");
        for round in 0..5 {
            request =
                request.redirected(&redirection("/")).unwrap_or_else(|e| panic!("{round} {e}"));
        }
        assert_eq!(request.redirected(&redirection("/")).err(), Some(RedirectError::TooMany));
    }

    #[test]
    fn secrets_stay_with_the_server_they_are_for() {
        let original = request("ws://u:p@h/a")
            .subprotocol("sub")
            .unwrap()
            .extension("ext")
            .unwrap()
            .header("X-Api-Key", "secret")
            .unwrap()
            .cookie("session", "secret")
            .unwrap();
        let follow = |location: &str| encode(&original.redirected(&redirection(location)).unwrap());
        for location in ["/b", "ws://h/b", "http://H:80/b", "//h/b", "b"] {
            let expected = encode(&original).replace("/a", "/b");
            let same = follow(location).replace("Host: H\r", "Host: h\r");
            assert_eq!(same, expected, "{location}");
        }
        for location in ["wss://h/b", "ws://h:81/b", "ws://x/b", "ws://h.x/b", "https://h:80/b"] {
            let other = follow(location);
            for secret in ["secret", "Authorization", "Cookie", "X-Api-Key"] {
                assert!(!other.contains(secret), "{location}: {other}");
            }
            assert!(other.contains("Protocol: sub\r\n") && other.contains("Extensions: ext\r\n"));
        }
        // What was lost on the way does not come back.
        let away = original.redirected(&redirection("ws://x/")).unwrap();
        let back = encode(&away.redirected(&redirection("ws://h/a")).unwrap());
        assert!(!back.contains("Authorization") && !back.contains("secret"), "{back}");
        // An Authorization field that was set goes the same way.
        let bearer = request("ws://h/").header("Authorization", "Bearer secret").unwrap();
        let other = encode(&bearer.redirected(&redirection("ws://x/")).unwrap());
        assert!(!other.contains("Bearer"), "{other}");
    }
}

/// What our own server answers to a request.
fn serve(policy: &Policy, request: &[u8]) -> Vec<u8> {
    let limits = HeadLimits::default();
    let mut head = HeadBuffer::new();
    let mut input = request;
    assert_eq!(head.receive(&mut input, &limits), Ok(true));
    assert!(input.is_empty(), "nothing follows a request");
    let mut output = Vec::new();
    let judged = Request::parse(head.head(), &limits)
        .and_then(|request| policy.judge(&request)?.ok_or(Refusal::UpgradeRequired));
    match judged {
        Ok(offer) => _ = offer.accept(&Acceptance::new(), &mut output).unwrap(),
        Err(refusal) => refusal.response().encode(Method::Get, UNIX_EPOCH, &mut output),
    }
    output
}

proptest! {
    /// Whatever our client offers, our server understands, and the other way around.
    #[test]
    fn client_and_server_agree(
        key: [u8; 16],
        offered in prop::sample::subsequence(vec!["a", "b", "c.v1", "D"], 0..=4).prop_shuffle(),
        spoken in prop::sample::subsequence(vec!["a", "b", "c.v1", "D"], 0..=4).prop_shuffle(),
        extensions in prop::sample::subsequence(vec!["x; p=1", "y;q=\"z\"", "w"], 0..=3),
        origin in prop::option::of(prop::sample::select(vec!["http://server.example", "null"])),
    ) {
        let mut request = offering(&offered, &extensions);
        if let Some(origin) = origin {
            request = request.origin(origin).unwrap();
        }
        let subprotocols = spoken.iter().map(|&it| it.to_owned()).collect();
        let policy = Policy { subprotocols, origins: OriginPolicy::SameHost, ..Policy::default() };

        let mut output = Vec::new();
        let mut handshake = ClientHandshake::start(&request, key, &mut output);
        let answer = serve(&policy, &output);
        match handshake.receive(&mut &answer[..]) {
            Ok(Some(Reply::Established(established))) => {
                prop_assert_ne!(origin, Some("null"));
                let expected = spoken.iter().copied().find(|it| offered.contains(it));
                prop_assert_eq!(established.subprotocol(), expected);
                prop_assert_eq!(established.extensions().count(), 0);
            }
            Ok(Some(Reply::Refused(refusal))) => {
                prop_assert_eq!(origin, Some("null"));
                prop_assert_eq!(refusal.status(), 403);
                prop_assert!(!refusal.body().is_empty() && answer.ends_with(refusal.body()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn an_offer_to_compress_must_be_answered_as_it_was_made() {
    use crate::handshake::DeflateOptions;

    let name = "Sec-WebSocket-Extensions";
    let request = offering(&[], &["x"]).deflate(DeflateOptions::default());
    let offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits";
    assert!(encode(&request).contains(&format!("\r\n{name}: x,{offer}\r\n")));

    let none = established(&request, &response().with(name, &["x"]));
    assert_eq!(none.deflate(), None);
    let answer = "x, permessage-deflate; server_no_context_takeover";
    let agreed = established(&request, &response().with(name, &[answer])).deflate().unwrap();
    assert!(agreed.server_no_context_takeover && agreed.client_no_context_takeover);

    for (answer, error) in [
        ("permessage-deflate", ResponseError::Deflate),
        ("permessage-deflate; foo", ResponseError::Deflate),
        ("permessage-deflate, permessage-deflate", ResponseError::RepeatedExtension),
        ("permessage-deflate;", ResponseError::Extensions),
    ] {
        let (reply, _) = deliver_in_all_ways(&request, &response().with(name, &[answer]).encode());
        assert_eq!(reply, Err(error), "{answer}");
    }
    // An offer that the application wrote is its own to judge.
    let by_hand = offering(&[], &["permessage-deflate"]);
    let answer = response().with(name, &["permessage-deflate; foo"]);
    assert_eq!(established(&by_hand, &answer).deflate(), None);
}
