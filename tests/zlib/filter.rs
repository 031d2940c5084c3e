//! Compresses and inflates what standard input says, so that `scripts/compare-zlib` can compare
//! that with what zlib makes of it.
//!
//! Standard input is a series of sessions; all numbers are little-endian, `BYTES` are their number
//! in 32 bits and then they themselves:
//!
//! ```text
//! 'I' TAKEOVER CUT N BYTES…                   inflates N payloads that arrive CUT bytes at a time
//! 'D' TAKEOVER BITS LEVEL MEMORY N BYTES…     compresses N messages
//! ```
//!
//! TAKEOVER, BITS, LEVEL and MEMORY are bytes, CUT and N have 32 bits. For each payload or message
//! there is an answer on standard output: 1 and BYTES, or 0 if it is corrupt or not worth
//! compressing. What follows a corrupt payload is not answered.

use std::io::{self, Read, Write};

use wsloop::protocol::{
    Compressor, CompressorOptions, Decoder, DeflateParameters, Event, Header, Opcode, Role,
    Violation, encode_frame,
};

/// More than any message here.
const MAX_MESSAGE: u64 = 256 << 20;

fn main() -> io::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let (mut input, mut output) = (Input(&bytes), Vec::new());
    while let Some(kind) = input.next() {
        match kind {
            b'I' => inflate(&mut input, &mut output),
            b'D' => compress(&mut input, &mut output),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    io::stdout().lock().write_all(&output)
}

fn inflate(input: &mut Input<'_>, output: &mut Vec<u8>) {
    let server_no_context_takeover = input.byte() == 0;
    let cut = input.number();
    let agreed = DeflateParameters { server_no_context_takeover, ..DeflateParameters::default() };
    let mut decoder = Decoder::new(Role::Client).deflate(agreed).max_message_size(MAX_MESSAGE);
    let mut corrupt = false;
    for _ in 0..input.number() {
        let payload = input.bytes();
        if corrupt {
            continue;
        }
        let header = Header { rsv: Header::RSV1, ..Header::new(Opcode::Binary, 0) };
        let mut frame = Vec::new();
        encode_frame(header, payload, &mut frame);
        let answered = output.len();
        for part in frame.chunks_mut(cut) {
            match decoder.next(&mut &mut *part) {
                Ok(Some(Event::Message(message))) => answer(Some(message.as_bytes()), output),
                Ok(None) => {}
                Ok(Some(other)) => panic!("nobody sent {other:?}"),
                Err(violation) => {
                    assert_eq!(violation, Violation::CorruptDeflate);
                    answer(None, output);
                    corrupt = true;
                    break;
                }
            }
        }
        assert!(output.len() > answered, "a message that is whole is reported");
    }
}

fn compress(input: &mut Input<'_>, output: &mut Vec<u8>) {
    let mut compressor = Compressor::new(CompressorOptions {
        context_takeover: input.byte() != 0,
        window_bits: input.byte(),
        level: input.byte(),
        memory_level: input.byte(),
    });
    for _ in 0..input.number() {
        answer(compressor.compress(input.bytes()), output);
    }
}

fn answer(bytes: Option<&[u8]>, output: &mut Vec<u8>) {
    output.push(bytes.is_some().into());
    if let Some(bytes) = bytes {
        output.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        output.extend_from_slice(bytes);
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn next(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        self.0.split_off(..len).expect("sessions are whole")
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn number(&mut self) -> usize {
        let bytes = self.take(4).try_into().expect("there are four");
        u32::from_le_bytes(bytes) as usize
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.number();
        self.take(len)
    }
}
