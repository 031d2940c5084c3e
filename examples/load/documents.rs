//! What servers send, made up: the same every time.

use std::fmt::Write;

/// JSON of so many bytes: orders, as a page that lists them would be told.
pub(crate) fn orders(size: usize) -> Vec<u8> {
    let mut random = Random::new();
    let mut json = String::from(r#"{"type":"orders","page":3,"orders":["#);
    loop {
        let order = order(&mut random);
        if json.len() + order.len() + END.len() + 2 > size {
            break;
        }
        json.push_str(&order);
        json.push(',');
    }
    if json.ends_with(',') {
        json.pop();
    }
    json.push_str(END);
    while json.len() + 2 < size {
        let word = random.one_of(&WORDS);
        json.extend(word.chars().chain([' ']).take(size - json.len() - 2));
    }
    json.push_str("\"}");
    json.into_bytes()
}

const END: &str = r#"],"note":""#;

fn order(random: &mut Random) -> String {
    let (first, last) = (random.one_of(&NAMES), random.one_of(&SURNAMES));
    let mut order = String::new();
    write!(
        order,
        r#"{{"id":"{:08x}","customer":{{"name":"{first} {last}","city":"{}"}},"status":"{}","items":{},"total":{}.{:02},"updated":"2026-11-{:02}T{:02}:{:02}:{:02}Z"}}"#,
        random.next(),
        random.one_of(&CITIES),
        random.one_of(&STATUSES),
        1 + random.below(9),
        random.below(500),
        random.below(100),
        1 + random.below(30),
        random.below(24),
        random.below(60),
        random.below(60),
    )
    .expect("a string takes it");
    order
}

/// Positions of things that move, as a game would send them: 20 bytes for each.
pub(crate) fn positions(size: usize) -> Vec<u8> {
    let mut random = Random::new();
    let mut bytes = Vec::with_capacity(size + 20);
    for id in 1000_u32.. {
        if bytes.len() >= size {
            break;
        }
        let mut coordinate = |range: u32| random.below(range * 64) as f32 / 64.0;
        let place = [coordinate(2000), coordinate(200), coordinate(2000)];
        bytes.extend(id.to_le_bytes());
        bytes.extend(place.into_iter().flat_map(f32::to_le_bytes));
        bytes.extend((random.below(360) as u16).to_le_bytes());
        bytes.extend([random.below(4) as u8, 100]);
    }
    bytes.truncate(size);
    bytes
}

struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x2545_F491_4F6C_DD1D)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u32) as usize]
    }
}

const NAMES: [&str; 8] = ["Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Niklaus", "Radia"];
const SURNAMES: [&str; 8] =
    ["Dijkstra", "Hopper", "Liskov", "Lovelace", "Perlman", "Thompson", "Turing", "Wirth"];
const CITIES: [&str; 6] = ["Amsterdam", "Bristol", "Chicago", "Lyon", "Osaka", "Zürich"];
const STATUSES: [&str; 4] = ["paid", "packed", "shipped", "delivered"];
const WORDS: [&str; 12] = [
    "please",
    "ring",
    "at",
    "the",
    "back",
    "door",
    "before",
    "noon",
    "leave",
    "with",
    "neighbours",
    "fragile",
];
