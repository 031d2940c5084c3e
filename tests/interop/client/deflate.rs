//! The cases in which messages are compressed.

use std::error::Error;

use wsloop::protocol::Role;
use wsloop::{Compression, Message};

use super::cases::{Case, Outcome, ask, expect, finish};
use super::client::{Client, Dialer};

/// On either side of where a length is encoded in another way, and of zlib's window.
const SIZES: [usize; 16] =
    [0, 1, 5, 63, 64, 100, 125, 126, 500, 1023, 4096, 32768, 65535, 65536, 100_000, 1 << 17];

/// Which servers always compress each message by itself, and know no other window than the largest.
const SIMPLE: [&str; 1] = ["gorilla"];

/// Runs a case, of which this is the name without `deflate-`.
pub(super) fn run(dialer: &Dialer, server: &str, case: &str) -> Outcome {
    let compression = match case {
        "shared" => Compression::shared(),
        "window-9" => Compression::dedicated().window_bits(9),
        _ => Compression::dedicated(),
    };
    let dialer = Dialer { compression: Some(compression), ..dialer.clone() };
    let it = Case { dialer: &dialer, server };
    match case {
        "shared" | "dedicated" => it.deflates(case == "dedicated"),
        "window-9" => it.deflates_within_512_bytes(),
        "fragments" => it.defragments(1000, Message::Text(&words(100_000))),
        "in-order" => it.in_order(&"a message that compresses ".repeat(5)),
        "too-big" => it.too_big(),
        _ => Err("there is no such case".into()),
    }
}

impl Case<'_> {
    fn deflates(&self, takeover: bool) -> Outcome {
        let mut client = self.connect("/counted")?;
        let agreed = client.deflate().ok_or("it does not compress")?;
        let takeover = takeover && !SIMPLE.contains(&&*Traffic::ask(&mut *client)?.server);
        for role in [Role::Client, Role::Server] {
            expect(agreed.has_context_takeover(role), takeover)?;
        }
        comes_back_compressed(&mut *client)?;
        refers_as_agreed(&mut *client)?;
        finish(client)
    }

    /// A server that does not know this parameter must not agree to it (RFC 7692 §5.1), but may.
    fn deflates_within_512_bytes(&self) -> Outcome {
        let mut client = match self.connect("/counted") {
            Ok(client) => client,
            Err(error) => return self.is_ignored(&*error),
        };
        let agreed = client.deflate().ok_or("it does not compress")?;
        expect((agreed.server_max_window_bits, agreed.client_max_window_bits), (9, 9))?;
        comes_back_compressed(&mut *client)?;
        refers_as_agreed(&mut *client)?;
        finish(client)
    }

    /// Expects that the connection failed since the server agreed to what it does not know.
    fn is_ignored(&self, error: &dyn Error) -> Outcome {
        expect(error.to_string().contains("permessage-deflate"), true)?;
        let dialer = Dialer { compression: None, ..self.dialer.clone() };
        let mut client = Case { dialer: &dialer, ..*self }.connect("/counted")?;
        let server = Traffic::ask(&mut *client)?.server;
        expect(SIMPLE.contains(&&*server), true)?;
        finish(client)
    }
}

/// What went over a connection until the server was asked, in bytes.
struct Traffic {
    server: String,
    there: u64,
    back: u64,
}

impl Traffic {
    fn ask(client: &mut dyn Client) -> Result<Self, Box<dyn Error>> {
        let answer = ask(client, "bytes")?;
        let mut words = answer.split(' ');
        let mut next = || words.next().ok_or("it does not tell");
        Ok(Self { server: next()?.to_owned(), there: next()?.parse()?, back: next()?.parse()? })
    }
}

/// Has messages echoed, and returns how many bytes that took, there and back.
fn cost(client: &mut dyn Client, messages: &[Message<'_>]) -> Result<(u64, u64), Box<dyn Error>> {
    let before = Traffic::ask(client)?;
    for &message in messages {
        client.send(message)?;
        expect(client.receive()?, message.into())?;
    }
    let after = Traffic::ask(client)?;
    Ok((after.there - before.there, after.back - before.back))
}

fn comes_back_compressed(client: &mut dyn Client) -> Outcome {
    let texts = SIZES.map(words);
    let messages: Vec<_> = texts
        .iter()
        .flat_map(|text| [Message::Text(text), Message::Binary(text.as_bytes())])
        .collect();
    let (there, back) = cost(client, &messages)?;
    let bytes: usize = SIZES.iter().sum();
    match there.max(back) < bytes as u64 {
        true => Ok(()),
        false => Err(format!("{there} there and {back} back, for 2 times {bytes}").into()),
    }
}

/// What does not compress does so the second time, within reach of the first.
fn refers_as_agreed(client: &mut dyn Client) -> Outcome {
    let agreed = client.deflate().ok_or("it does not compress")?;
    for size in [200, 1000] {
        let noise = noise(size);
        cost(client, &[Message::Binary(&noise)])?;
        let (there, back) = cost(client, &[Message::Binary(&noise)])?;
        for (role, took) in [(Role::Client, there), (Role::Server, back)] {
            // zlib goes no further back than this.
            let reach = (1 << agreed.max_window_bits(role)) - 262;
            let in_reach = agreed.has_context_takeover(role) && size < reach;
            expect((role, size, took < 130), (role, size, in_reach))?;
        }
    }
    cost(client, &[Message::Binary(&noise(100_000))])?;
    Ok(())
}

/// Text that compresses well, but not to nothing.
fn words(len: usize) -> String {
    let ids = noise(len / 20 + 1).into_iter();
    let mut text: String = ids.map(|id| format!(r#"{{"id":{id},"name":"Ada"}},"#)).collect();
    text.truncate(len);
    text
}

/// Bytes that do not compress, the same every time: by xorshift.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
