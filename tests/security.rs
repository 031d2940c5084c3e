//! SECURITY.md states limits and their defaults: those of the code, and all of them.

#![cfg(all(feature = "client", feature = "deflate", feature = "event-loop"))]

use std::fs;
use std::path::Path;
use std::time::Duration;

use wsloop::client::Connector;
use wsloop::handshake::{HeadLimits, ResponseLimits};
use wsloop::{Config, Rate, RateLimit};

/// A default as the document states it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// A number, or a number of bytes.
    Number(u64),
    Time(Duration),
    None,
}

impl Value {
    /// Reads `16 MiB`, `100,000`, `10 s` or `none`.
    fn parse(text: &str) -> Self {
        if text == "none" {
            return Self::None;
        }
        let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
        let number: u64 = number.replace(',', "").parse().expect("a number");
        match unit {
            "" => Self::Number(number),
            "KiB" => Self::Number(number << 10),
            "MiB" => Self::Number(number << 20),
            "s" => Self::Time(Duration::from_secs(number)),
            _ => panic!("no unit is {unit}"),
        }
    }

    /// Something else of the same kind.
    fn other(self) -> Self {
        match self {
            Self::Number(number) => Self::Number(number + 1),
            Self::Time(time) => Self::Time(time + Duration::from_secs(1)),
            Self::None => Self::Time(Duration::from_secs(1)),
        }
    }

    fn bytes(self) -> u64 {
        let Self::Number(number) = self else { panic!("{self:?} is no number") };
        number
    }

    fn number(self) -> usize {
        self.bytes().try_into().unwrap()
    }

    fn time(self) -> Duration {
        self.time_if_any().expect("a time")
    }

    fn time_if_any(self) -> Option<Duration> {
        match self {
            Self::Time(time) => Some(time),
            Self::None => None,
            Self::Number(_) => panic!("{self:?} is no time"),
        }
    }
}

/// The settings below one type, and their defaults, in the tables of the document.
fn stated(type_name: &str) -> Vec<(String, Value)> {
    let prefix = format!("| `{type_name}::");
    let document = read("SECURITY.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix(&prefix));
    rows.map(|row| {
        let (setting, rest) = row.split_once("` | ").expect("a setting");
        let (default, _) = rest.split_once(" |").expect("a default");
        (setting.to_owned(), Value::parse(default))
    })
    .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names of all public functions in a file that take one of these, in order.
fn setters(path: &str, types: &[&str]) -> Vec<String> {
    let takes = |rest: &str| types.iter().any(|it| rest.contains(&format!(": {it}) -> Self")));
    let source = read(path);
    let functions = source.lines().filter_map(|line| line.trim().strip_prefix("pub fn "));
    let setters = functions.filter_map(|line| line.split_once('(')).filter(|(_, rest)| takes(rest));
    setters.map(|(name, _)| name.to_owned()).collect()
}

const LIMITS: [&str; 4] = ["u64", "usize", "Duration", "Option<Duration>"];

/// Checks that to set what is stated changes nothing, that to set anything else does, and that
/// everything is stated which can be set.
#[track_caller]
fn check(type_name: &str, mut settable: Vec<String>, set: impl Fn(&str, Value) -> String) {
    let stated = stated(type_name);
    let default = set("", Value::None);
    for (setting, value) in &stated {
        assert_eq!(set(setting, *value), default, "{setting} is stated to be {value:?}");
        assert_ne!(set(setting, value.other()), default, "{setting}");
    }
    let mut names: Vec<_> = stated.into_iter().map(|(setting, _)| setting).collect();
    names.sort_unstable();
    settable.sort_unstable();
    assert_eq!(names, settable, "of {type_name}");
}

#[test]
fn the_defaults_of_a_loop_are_as_stated() {
    let limits = [&LIMITS[..], &["RateLimit"]].concat();
    let settable = setters("src/event_loop/config.rs", &limits);
    assert!(settable.len() > 15, "{settable:?}");
    check("Config", settable, |setting, value| {
        let config = Config::new();
        let config = match setting {
            "" => config,
            "max_message_size" => config.max_message_size(value.bytes()),
            "inflating_limit" => config.inflating_limit(value.number()),
            "high_water_mark" => config.high_water_mark(value.number()),
            "write_queue_limit" => config.write_queue_limit(value.number()),
            "remote_queue_limit" => config.remote_queue_limit(value.number()),
            "max_connections" => config.max_connections(value.number()),
            "max_handshakes" => config.max_handshakes(value.number()),
            "max_connecting_per_address" => config.max_connecting_per_address(value.number()),
            "max_subscriptions" => config.max_subscriptions(value.number()),
            "read_buffer_size" => config.read_buffer_size(value.number()),
            "rate_limit" => config.rate_limit(match value {
                Value::None => RateLimit::new(),
                _ => RateLimit::new().messages(Rate::per_second(1)),
            }),
            "connect_timeout" => config.connect_timeout(value.time()),
            "handshake_timeout" => config.handshake_timeout(value.time()),
            "message_timeout" => config.message_timeout(value.time_if_any()),
            "ping_interval" => config.ping_interval(value.time_if_any()),
            "idle_timeout" => config.idle_timeout(value.time_if_any()),
            "write_timeout" => config.write_timeout(value.time_if_any()),
            "close_timeout" => config.close_timeout(value.time()),
            _ => panic!("there is no Config::{setting}"),
        };
        format!("{config:?}")
    });
}

#[test]
fn the_defaults_of_a_client_are_as_stated() {
    let settable = setters("src/client/connector.rs", &LIMITS);
    assert!(settable.len() > 4, "{settable:?}");
    check("Connector", settable, |setting, value| {
        let connector = Connector::new();
        let connector = match setting {
            "" => connector,
            "max_message_size" => connector.max_message_size(value.bytes()),
            "read_buffer_size" => connector.read_buffer_size(value.number()),
            "connect_timeout" => connector.connect_timeout(value.time()),
            "read_timeout" => connector.read_timeout(value.time_if_any()),
            "write_timeout" => connector.write_timeout(value.time_if_any()),
            "close_timeout" => connector.close_timeout(value.time()),
            _ => panic!("there is no Connector::{setting}"),
        };
        format!("{connector:?}")
    });
}

#[test]
fn the_limits_of_heads_are_as_stated() {
    let fields = ["max_head_size", "max_request_line", "max_headers"].map(str::to_owned);
    check("HeadLimits", fields.into(), |setting, value| {
        let mut limits = HeadLimits::default();
        match setting {
            "" => {}
            "max_head_size" => limits.max_head_size = value.number(),
            "max_request_line" => limits.max_request_line = value.number(),
            "max_headers" => limits.max_headers = value.number(),
            _ => panic!("there is no HeadLimits::{setting}"),
        }
        format!("{limits:?}")
    });
    let fields = ["max_head_size", "max_headers", "max_body_size"].map(str::to_owned);
    check("ResponseLimits", fields.into(), |setting, value| {
        let mut limits = ResponseLimits::default();
        match setting {
            "" => {}
            "max_head_size" => limits.max_head_size = value.number(),
            "max_headers" => limits.max_headers = value.number(),
            "max_body_size" => limits.max_body_size = value.number(),
            _ => panic!("there is no ResponseLimits::{setting}"),
        }
        format!("{limits:?}")
    });
}
