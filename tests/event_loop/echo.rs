//! Messages there and back, however they are cut.

use wsloop::Config;

use super::common::{Client, REQUEST, Script, Server, frame, masked, wire};

#[test]
fn messages_come_back_as_they_went() {
    check("81 05 'Hello'", &["text Hello"], "81 05 'Hello'");
    check("81 03 E282AC", &["text €"], "81 03 E282AC");
    check("82 04 00FF8001", &[r"binary \x00\xff\x80\x01"], "82 04 00FF8001");
    check("81 00  82 00", &["text", "binary"], "81 00  82 00");
}

#[test]
fn a_fragmented_message_comes_back_in_one_frame() {
    check("01 03 'Hel'  80 02 'lo'", &["text Hello"], "81 05 'Hello'");
    check("02 01 'a'  00 01 'b'  00 00  80 01 'c'", &["binary abc"], "82 03 'abc'");
    // A frame may end inside a character, as long as the message does not.
    check("01 01 E2  80 02 82AC", &["text €"], "81 03 E282AC");
}

#[test]
fn messages_in_one_segment_are_answered_in_order() {
    let told: Vec<_> = (0..100).map(|i| format!("text {i:02}")).collect();
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    let transcript: String = (0..100).map(|i| format!("81 02 '{i:02}'  ")).collect();
    check(&transcript, &told, &transcript);
}

#[test]
fn a_ping_inside_a_message_is_answered_first() {
    check(
        "01 03 'Hel'  89 02 'hi'  80 02 'lo'",
        &["ping hi", "text Hello"],
        "8A 02 'hi'  81 05 'Hello'",
    );
    check("89 00", &["ping"], "8A 00");
}

/// RFC 6455 §5.5.2: a Pong is sent "as soon as is practical". The end of the message may be minutes
/// away.
#[test]
fn a_ping_inside_a_message_is_answered_before_the_message_is_complete() {
    let server = Server::echo();
    let mut client = server.open();
    client.send("01 03 'Hel'  89 02 'hi'");
    client.expect("8A 02 'hi'");
    client.send("00 01 'l'  89 00");
    client.expect("8A 00");
    client.send("80 01 'o'");
    client.expect("81 05 'Hello'");
    for expected in ["ping hi", "ping", "text Hello"] {
        server.told.expect(expected);
    }
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_pong_that_nobody_asked_for_is_not_answered() {
    check("8A 02 'hi'  8A 00  81 00", &["pong hi", "pong", "text"], "81 00");
}

/// Checks what an echo server makes of these frames: whole, byte by byte, and behind the head in one write.
#[track_caller]
fn check(sent: &str, told: &[&str], received: &str) {
    let server = Server::echo();
    let answered = |mut client: Client| {
        for expected in told {
            server.told.expect(expected);
        }
        client.expect(received);
        client.close();
        server.told.expect("close 1000 clean Remote");
    };

    let mut client = server.open();
    client.send(sent);
    answered(client);

    let mut client = server.open();
    for byte in masked(&wire(sent)) {
        client.write([byte]);
    }
    answered(client);

    let mut client = Client::connect(server.addr);
    client.write([REQUEST.as_bytes(), &masked(&wire(sent))].concat());
    client.expect_opened();
    server.told.expect("open");
    answered(client);

    server.stop();
}

#[test]
fn messages_of_every_kind_of_length_come_back() {
    // Where the length takes another form, where a message fills the read buffer, and far beyond.
    for len in [1, 125, 126, 127, 65_521, 65_522, 65_523, 65_535, 65_536, 65_537, 1 << 20] {
        let payload: Vec<u8> = (0..len).map(|i| b' ' + (i % 89) as u8).collect();
        for opcode in [0x81, 0x82] {
            let server = Server::start(Config::new().high_water_mark(2 << 20), Script::echo());
            let mut client = server.open();
            client.write(masked(&frame(opcode, &payload)));
            let told = server.told.next();
            assert!(len <= 32 || told.ends_with(&format!(" of {len}")), "{len}: {told}");
            client.expect_bytes(&frame(opcode, &payload));
            client.close();
            server.told.expect("close 1000 clean Remote");
            server.stop();
        }
    }
}

#[test]
fn a_message_in_a_thousand_fragments_comes_back() {
    let server = Server::start(Config::new().high_water_mark(2 << 20), Script::echo());
    let mut client = server.open();
    let fragments = |payload: &[u8]| {
        let chunks: Vec<_> = payload.chunks(1024).collect();
        let last = chunks.len() - 1;
        let opcode = |i| if i == 0 { 0x02 } else { 0x00 } | if i == last { 0x80 } else { 0 };
        chunks.iter().enumerate().flat_map(|(i, chunk)| frame(opcode(i), chunk)).collect::<Vec<_>>()
    };
    let payload: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    client.write(masked(&fragments(&payload)));
    client.expect_bytes(&frame(0x82, &payload));
    server.told.expect("binary of 1048576");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_read_buffer_of_any_size_does() {
    for size in [1, 2, 7, 64] {
        let server = Server::start(Config::new().read_buffer_size(size), Script::echo());
        let mut client = server.open();
        client.send("81 05 'Hello'  01 03 'Hel'  89 02 'hi'  80 02 'lo'  82 00");
        client.expect("81 05 'Hello'  8A 02 'hi'  81 05 'Hello'  82 00");
        for expected in ["text Hello", "ping hi", "text Hello", "binary"] {
            server.told.expect(expected);
        }
        client.close();
        server.told.expect("close 1000 clean Remote");
        server.stop();
    }
}
