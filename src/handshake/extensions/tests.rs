use proptest::prelude::*;

use super::*;

/// Writes what was understood of the lines in the shortest form there is.
fn parse(lines: &[&str]) -> Option<String> {
    let extensions = Extensions::parse(lines.iter().map(|line| line.as_bytes())).ok()?;
    let written = extensions.iter().map(|extension| {
        let parameters = extension.parameters().map(|Parameter { name, value }| match value {
            Some(value) => format!(";{name}={value}"),
            None => format!(";{name}"),
        });
        extension.name().to_owned() + &parameters.collect::<String>()
    });
    Some(written.collect::<Vec<_>>().join(","))
}

#[track_caller]
fn check(line: &str, expected: &str) {
    assert_eq!(parse(&[line]).as_deref(), Some(expected), "{line}");
}

#[test]
fn offers_keep_their_order() {
    check("permessage-deflate", "permessage-deflate");
    check(
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate;client_max_window_bits;server_max_window_bits=10,permessage-deflate",
    );
    check("a;p=1;p=2;p", "a;p=1;p=2;p");
}

#[test]
fn a_quoted_value_is_the_token_it_stands_for() {
    check(r#"a;p="10""#, "a;p=10");
    check(r#"a;p="a\b""#, "a;p=ab");
    check(r#"a;p="\1\0";q="x",b"#, "a;p=10;q=x,b");
}

#[test]
fn whitespace_and_empty_elements_mean_nothing() {
    check(" ,, a ;\tp = \"1\" ; q\t, ,b, ", "a;p=1;q,b");
}

#[test]
fn lines_make_up_one_list() {
    assert_eq!(parse(&["a;p=1,", "", "b", ",c;q"]).as_deref(), Some("a;p=1,b,c;q"));
    assert_eq!(parse(&[]).as_deref(), Some(""));
    // A line break is no character of a string.
    assert_eq!(parse(&["a;p=\"b", "c\""]), None);
    assert_eq!(parse(&["a;p=", "b"]), None);
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    for line in [
        "",
        ",",
        ";;",
        ";",
        "a;",
        "a;;b",
        "a;=1",
        "a;p=",
        "a;p=,b",
        "a b",
        "a;p q",
        "a;p=1 2",
        "a=1",
        "a/b",
        "(a)",
        "\"a\"",
        "a;\"p\"",
        "a;p=\"x",
        "a;p=\"x y\"",
        "a;p=\"\"",
        "a;p=\"",
        "a;p=\"x\"y",
        "a;p=\"x\\\"",
        "a;p=\"x\\\\\"",
        "a;p=\"x\\\"y\"",
        "a;p=\"x\\\\y\"",
        "a;p=\"x,y\"",
        "a;p=\"x;y\"",
        "a;p=\"\\é\"",
        "é",
        "a;é",
        "a;p=é",
        "a;p=\"é\"",
        "a\u{a0};b",
    ] {
        assert_eq!(parse(&[line]), None, "{line}");
    }
    assert!(Extensions::parse([&b"a;p=\"\xff\""[..]].into_iter()).is_err());
}

/// Names that are properties of every object elsewhere, and lists as long as a head may be:
/// CVE-2020-7662, CVE-2020-7663, CVE-2021-32640.
#[test]
fn hostile_lists_are_lists() {
    check("constructor; __proto__=1, __proto__", "constructor;__proto__=1,__proto__");
    let name = "a".repeat(16 * 1024);
    check(&name, &name);
    check(&format!("{}a", ",".repeat(16 * 1024)), "a");
    check(&format!("a{}", ";b".repeat(8 * 1024)), &format!("a{}", ";b".repeat(8 * 1024)));
    check(&format!("a;b=\"{}\"", "\\c".repeat(8 * 1024)), &format!("a;b={}", "c".repeat(8 * 1024)));
    assert_eq!(parse(&[&format!("a;b=\"{}", "\\c".repeat(8 * 1024))]), None);
    assert_eq!(parse(&[&format!("a{}b", " ".repeat(16 * 1024))]), None);
    let semicolons = ";".repeat(16 * 1024);
    assert_eq!(parse(&[&semicolons]), None);
}

/// A token, bare or quoted, some of its characters escaped.
fn written(value: &str, escape: &[bool]) -> String {
    if escape.is_empty() {
        return value.to_owned();
    }
    let escape = escape.iter().cycle();
    let characters = value.chars().zip(escape);
    let quoted: String =
        characters.map(|(c, &e)| if e { format!("\\{c}") } else { c.into() }).collect();
    format!("\"{quoted}\"")
}

proptest! {
    #[test]
    fn how_a_list_is_written_does_not_matter(
        extensions in prop::collection::vec(
            ("[a-z!-]{1,5}", prop::collection::vec(
                ("[a-z0-9]{1,5}", prop::option::of("[A-Z0-9~]{1,5}"),
                 prop::collection::vec(any::<bool>(), 0..3), "[ \t]{0,2}"), 0..4)),
            1..5),
        new_lines in prop::collection::vec(any::<bool>(), 5),
    ) {
        let mut lines = vec![String::new()];
        let mut expected = vec![];
        for ((name, parameters), new_line) in extensions.iter().zip(new_lines) {
            if new_line {
                lines.push(String::new());
            }
            let line = lines.last_mut().unwrap();
            let mut plain = name.clone();
            line.push_str(name);
            for (name, value, escape, space) in parameters {
                plain += &format!(";{name}");
                line.push_str(&format!("{space};{space}{name}"));
                if let Some(value) = value {
                    plain += &format!("={value}");
                    line.push_str(&format!("{space}={space}{}", written(value, escape)));
                }
            }
            line.push(',');
            expected.push(plain);
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        prop_assert_eq!(parse(&lines), Some(expected.join(",")));
    }

    #[test]
    fn no_list_is_too_strange(line in r#"[a,;="\\ é]{0,20}"#) {
        // Whatever is accepted reads the same after it has been written again.
        if let Some(written) = parse(&[&line]) {
            prop_assert_eq!(parse(&[&written]), Some(written.clone()), "{}", line);
        }
    }
}
