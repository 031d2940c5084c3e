//! What compressed messages cost in allocations, once a connection is warm: nothing.

#![cfg(feature = "deflate")]

use allocation_counter::measure;
use wsloop::protocol::{
    Compressor, CompressorOptions, Decoder, Decompressor, DeflateParameters, Encoder, Event,
    Message, Role,
};

const NO_TAKEOVER: DeflateParameters = DeflateParameters {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// One compressor, one decompressor and one buffer serve all connections.
#[test]
fn what_is_shared_is_used_again() {
    let mut compressor = Compressor::new(CompressorOptions::new(NO_TAKEOVER, Role::Server));
    let mut decoders = [(); 3].map(|()| Decoder::new(Role::Client).deflate(NO_TAKEOVER));
    let (mut spare, mut buffer) = (Some(Box::<Decompressor>::default()), Some(Vec::new()));
    let message = "{\"id\":17,\"name\":\"Ada\"},".repeat(40);
    let mut output = Vec::new();
    let mut exchange = || {
        for decoder in &mut decoders {
            output.clear();
            let text = Message::Text(&message);
            Encoder::new().compressed(text, &mut compressor, None, &mut output).unwrap();
            assert!(output[0] == 0xC1 && output.len() < message.len() / 2);

            decoder.lend_decompressor(spare.take().unwrap());
            decoder.lend_buffer(buffer.take().unwrap());
            let event = decoder.next(&mut &mut output[..]).unwrap();
            assert_eq!(event, Some(Event::Message(text)));
            spare = decoder.reclaim_decompressor();
            buffer = decoder.reclaim_buffer();
        }
    };
    exchange();
    let counted = measure(|| (0..1000).for_each(|_| exchange()));
    assert_eq!(counted.count_total, 0);
}

/// After something long, a connection may have nothing to send for hours.
#[test]
fn a_compressor_does_not_keep_what_a_message_took() {
    let options = CompressorOptions::new(DeflateParameters::default(), Role::Server);
    let mut compressor = Compressor::new(options);
    let noise = noise(1 << 20);
    let mut output = Vec::with_capacity(2 << 20);
    let held = measure(|| {
        let message = Message::Binary(&noise);
        Encoder::new().compressed(message, &mut compressor, None, &mut output).unwrap();
    });
    assert!(output[0] == 0xC2 && output.len() > noise.len());
    assert!(held.bytes_current <= 64 << 10, "{} bytes", held.bytes_current);
}

/// Bytes that nothing compresses.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// How much there is to hold for a connection that has context takeover.
#[test]
fn a_compressor_and_a_decompressor_take_what_they_say() {
    let kib = |counted: allocation_counter::AllocationInfo| counted.bytes_current / 1024;
    let decompressor = kib(measure(|| drop_later(Box::<Decompressor>::default())));
    assert!((60..=96).contains(&decompressor), "{decompressor} KiB");
    for (window_bits, memory_level, most) in [(15, 8, 400), (9, 8, 280), (9, 1, 150)] {
        let options = CompressorOptions {
            window_bits,
            memory_level,
            ..CompressorOptions::new(DeflateParameters::default(), Role::Server)
        };
        let compressor = kib(measure(|| drop_later(Compressor::new(options))));
        assert!(compressor <= most, "{window_bits}, {memory_level}: {compressor} KiB");
    }
}

/// Keeps a value beyond the end of what is measured.
fn drop_later<T>(value: T) {
    Box::leak(Box::new(value));
}
