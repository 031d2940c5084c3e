use super::super::extensions::Extensions;
use super::*;

/// Nothing restricted, and context takeover wherever the other endpoint does not mind.
const ANYTHING: DeflateOptions = DeflateOptions {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn extensions(line: &str) -> Extensions {
    Extensions::parse([line.as_bytes()].into_iter()).expect("it follows the grammar")
}

/// What a server answers, where `pmd` stands for the name and the parameters are abbreviated.
fn answer(options: DeflateOptions, offers: &str) -> Option<String> {
    let (_, answer) = options.accept(extensions(&long(offers)).iter())?;
    Some(short(&answer))
}

const ABBREVIATIONS: [(&str, &str); 5] = [
    ("pmd", NAME),
    ("SNCT", "server_no_context_takeover"),
    ("CNCT", "client_no_context_takeover"),
    ("SMWB", "server_max_window_bits"),
    ("CMWB", "client_max_window_bits"),
];

fn long(text: &str) -> String {
    ABBREVIATIONS.iter().fold(text.to_owned(), |text, (short, long)| text.replace(short, long))
}

fn short(text: &str) -> String {
    ABBREVIATIONS.iter().fold(text.to_owned(), |text, (short, long)| text.replace(long, short))
}

#[test]
fn a_server_answers_what_is_offered() {
    for (offer, expected) in [
        ("pmd", "pmd"),
        ("pmd; CMWB", "pmd"),
        ("pmd; SNCT", "pmd; SNCT"),
        ("pmd; CNCT", "pmd; CNCT"),
        ("pmd; CNCT; SNCT", "pmd; SNCT; CNCT"),
        // §7.1.2.1: what is named is answered, even where it goes without saying.
        ("pmd; SMWB=15", "pmd; SMWB=15"),
        ("pmd; SMWB=9", "pmd; SMWB=9"),
        ("pmd; SMWB=\"10\"", "pmd; SMWB=10"),
        ("pmd; CMWB=10", "pmd; CMWB=10"),
        ("pmd; CMWB=15; SMWB=12; SNCT; CNCT", "pmd; SNCT; CNCT; SMWB=12"),
        // A client that keeps to 8 bits does so without being told: no answer names them.
        ("pmd; CMWB=8", "pmd"),
    ] {
        assert_eq!(answer(ANYTHING, offer).as_deref(), Some(expected), "{offer}");
    }
}

#[test]
fn a_server_asks_for_what_it_wants() {
    let narrow =
        DeflateOptions { server_max_window_bits: 11, client_max_window_bits: 12, ..ANYTHING };
    for (options, offer, expected) in [
        (DeflateOptions::default(), "pmd", "pmd; SNCT; CNCT"),
        (DeflateOptions::default(), "pmd; CMWB; SMWB=9", "pmd; SNCT; CNCT; SMWB=9"),
        (narrow, "pmd; CMWB", "pmd; SMWB=11; CMWB=12"),
        (narrow, "pmd; CMWB=13; SMWB=12", "pmd; SMWB=11; CMWB=12"),
        (narrow, "pmd; CMWB=11; SMWB=10", "pmd; SMWB=10; CMWB=11"),
        (narrow, "pmd; CMWB=8", "pmd; SMWB=11"),
        // §7.1.2.2: a client that does not offer it must not be restricted.
        (narrow, "pmd", "pmd; SMWB=11"),
        // What cannot be had is the nearest that can.
        (DeflateOptions { server_max_window_bits: 0, ..ANYTHING }, "pmd", "pmd; SMWB=9"),
        (DeflateOptions { server_max_window_bits: 99, ..ANYTHING }, "pmd", "pmd"),
        (DeflateOptions { client_max_window_bits: 8, ..ANYTHING }, "pmd; CMWB", "pmd; CMWB=9"),
    ] {
        assert_eq!(answer(options, offer).as_deref(), Some(expected), "{offer}");
    }
}

/// §7.1: such offers are declined, each by itself, and are no reason to refuse the connection.
#[test]
fn a_server_declines_what_it_does_not_understand() {
    let mut declined: Vec<String> = [
        "foo",
        "SNCT=1",
        "CNCT=true",
        "SNCT=\"\\1\"",
        "SNCT; SNCT",
        "CNCT; CNCT",
        "SMWB=10; SMWB=10",
        "CMWB; CMWB",
        "CMWB=10; CMWB",
        "CMWB; CMWB=10",
        "snct; SNCT; foo=1",
        "SMWB",
        // Possible by §7.1.2.1, but not for our compressor.
        "SMWB=8",
    ]
    .map(str::to_owned)
    .into();
    let impossible = ["08", "010", "+10", "-10", "1e1", "0x8", "8.0", "1000", "99999999999", "abc"];
    let impossible = impossible.into_iter().map(str::to_owned);
    let numbers = (0..=300).filter(|bits| !(8..=15).contains(bits)).map(|bits| bits.to_string());
    for value in impossible.chain(numbers) {
        declined.extend([format!("SMWB={value}"), format!("CMWB=\"{value}\"")]);
    }
    for parameters in declined {
        assert_eq!(answer(ANYTHING, &format!("pmd; {parameters}")), None, "{parameters}");
        let next = format!("x; y=1, pmd; {parameters}, pmd; CNCT, pmd");
        assert_eq!(answer(ANYTHING, &next).as_deref(), Some("pmd; CNCT"), "{parameters}");
    }
    for other in ["x-webkit-deflate-frame", "Permessage-Deflate", "pmd2", "x; pmd"] {
        assert_eq!(answer(ANYTHING, other), None, "{other}");
    }
}

#[test]
fn a_server_takes_the_first_offer_it_can() {
    let offers = "pmd; SMWB=8, pmd; SMWB=10, pmd";
    assert_eq!(answer(ANYTHING, offers).as_deref(), Some("pmd; SMWB=10"));
}

#[test]
fn a_client_offers_what_it_wants() {
    let offer = |options: DeflateOptions| short(&options.offer());
    assert_eq!(offer(ANYTHING), "pmd; CMWB");
    assert_eq!(offer(DeflateOptions::default()), "pmd; SNCT; CNCT; CMWB");
    let narrow =
        DeflateOptions { server_max_window_bits: 9, client_max_window_bits: 8, ..ANYTHING };
    assert_eq!(offer(narrow), "pmd; SMWB=9; CMWB=9");
}

fn judge(options: DeflateOptions, answer: &str) -> Result<DeflateParameters, ResponseError> {
    options.judge(&extensions(&long(answer)).iter().next().unwrap())
}

#[test]
fn a_client_does_as_the_server_answers() {
    let default = DeflateParameters::default();
    let [server_none, client_none] = [true, false].map(|server| DeflateParameters {
        server_no_context_takeover: server,
        client_no_context_takeover: !server,
        ..default
    });
    for (answer, expected) in [
        ("pmd", default),
        ("pmd; SNCT", server_none),
        ("pmd; CNCT", client_none),
        ("pmd; SMWB=15; CMWB=15", default),
        ("pmd; SMWB=8", DeflateParameters { server_max_window_bits: 8, ..default }),
        ("pmd; CMWB=\"9\"", DeflateParameters { client_max_window_bits: 9, ..default }),
    ] {
        assert_eq!(judge(ANYTHING, answer), Ok(expected), "{answer}");
    }
    // §7.1.1.2 and §7.1.2.2: what a client says it will do needs no answer.
    let hints =
        DeflateOptions { client_no_context_takeover: true, client_max_window_bits: 10, ..ANYTHING };
    let expected = DeflateParameters { client_max_window_bits: 10, ..client_none };
    assert_eq!(judge(hints, "pmd"), Ok(expected));
}

/// §7.1: "the client MUST _Fail the WebSocket Connection_".
#[test]
fn a_client_fails_over_an_answer_that_does_not_fit() {
    for parameters in [
        "foo",
        "SNCT=1",
        "SNCT; SNCT",
        "CNCT; CNCT",
        "SMWB",
        "CMWB",
        "SMWB=7",
        "SMWB=0",
        "SMWB=16",
        "SMWB=1000",
        "SMWB=99999999999",
        "SMWB=abc",
        "SMWB=09",
        "SMWB=10; SMWB=10",
        "CMWB=10; CMWB=10",
        "CMWB=16",
        // Valid, but our compressor cannot.
        "CMWB=8",
    ] {
        let answer = format!("pmd; {parameters}");
        assert_eq!(judge(ANYTHING, &answer), Err(ResponseError::Deflate), "{answer}");
    }
    let asking = DeflateOptions {
        server_no_context_takeover: true,
        server_max_window_bits: 10,
        client_max_window_bits: 10,
        ..ANYTHING
    };
    assert!(judge(asking, "pmd; SNCT; SMWB=10; CMWB=10").is_ok());
    assert!(judge(asking, "pmd; SNCT; SMWB=9; CMWB=9; CNCT").is_ok());
    for answer in [
        "pmd",
        "pmd; SMWB=10",
        "pmd; SNCT",
        "pmd; SNCT; SMWB=11",
        "pmd; SNCT; SMWB=10; CMWB=11",
        "pmd; SNCT; SMWB=10; CMWB=15",
    ] {
        assert_eq!(judge(asking, answer), Err(ResponseError::Deflate), "{answer}");
    }
}

/// Whatever both want, the client understands what the server answers, and both do the same.
#[test]
fn client_and_server_come_to_the_same() {
    let takeover = [(false, false), (false, true), (true, false), (true, true)];
    let bits = [(15, 15), (9, 15), (15, 9), (12, 10), (10, 12)];
    let options = || {
        takeover.into_iter().flat_map(move |(server, client)| {
            bits.into_iter().map(move |(server_bits, client_bits)| DeflateOptions {
                server_no_context_takeover: server,
                client_no_context_takeover: client,
                server_max_window_bits: server_bits,
                client_max_window_bits: client_bits,
            })
        })
    };
    for client in options() {
        for server in options() {
            let (agreed, answer) = server.accept(extensions(&client.offer()).iter()).unwrap();
            assert_eq!(judge(client, &answer), Ok(agreed), "{client:?} {server:?}");
        }
    }
}
