//! docs/conformance.md keeps its word: whatever it names as a test is one, and no rule is without.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// The sections that ask something of an endpoint. Each has at least one row.
const SECTIONS: [(&str, &[&str]); 2] = [
    (
        "RFC 6455",
        &[
            "3", "4.1", "4.2.1", "4.2.2", "4.3", "4.4", "5.1", "5.2", "5.3", "5.4", "5.5", "5.5.1",
            "5.5.2", "5.5.3", "5.6", "5.8", "6.1", "6.2", "7.1.1", "7.1.2", "7.1.3", "7.1.4",
            "7.1.5", "7.1.6", "7.1.7", "7.2.1", "7.2.2", "7.2.3", "7.3", "7.4.1", "7.4.2", "8.1",
            "9.1", "10.1", "10.2", "10.3", "10.4", "10.5", "10.6", "10.7", "11.3.1", "11.3.2",
            "11.3.3", "11.3.4", "11.3.5",
        ],
    ),
    (
        "RFC 7692",
        &[
            "5", "5.1", "6", "6.1", "6.2", "7.1", "7.1.1.1", "7.1.1.2", "7.1.2", "7.1.2.1",
            "7.1.2.2", "7.2.1", "7.2.2", "7.2.3.4", "7.2.3.6", "8",
        ],
    ),
];

const HEAD: [&str; 5] = ["§", "", "rule", "here", "shown by"];

const LEVELS: [&str; 5] = ["MUST", "SHOULD", "MAY", "ours", "—"];

#[test]
fn whatever_the_document_names_as_a_test_is_one() {
    let document = read("docs/conformance.md").expect("the document");
    let problems = problems(&document, &read);
    assert!(problems.is_empty(), "docs/conformance.md:\n{}", problems.join("\n"));
    let rows = rows(&document);
    for (rfc, sections) in SECTIONS {
        for section in sections {
            let found = rows.iter().any(|row| row.rfc == rfc && row.cells[0] == *section);
            assert!(found, "there is no row for {rfc} §{section}");
        }
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// A line of a table below a heading that begins with the name of an RFC.
struct Row<'d> {
    line: usize,
    rfc: &'d str,
    cells: Vec<&'d str>,
}

/// All rows about RFCs, those that head a table and that rule it off included.
fn rows(document: &str) -> Vec<Row<'_>> {
    let (mut rows, mut rfc) = (Vec::new(), None);
    for (line, text) in (1..).zip(document.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            rfc = heading.starts_with("RFC ").then(|| heading.split([':', ',']).next().unwrap());
        }
        let inner = text.strip_prefix('|').and_then(|text| text.strip_suffix('|'));
        if let (Some(rfc), Some(inner)) = (rfc, inner) {
            rows.push(Row { line, rfc, cells: inner.split('|').map(str::trim).collect() });
        }
    }
    rows
}

/// What is wrong with the document, by line.
fn problems(document: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = Expect::Anything;
    let rows = rows(document);
    let row_at = |line| rows.iter().find(|row| row.line == line);
    for (line, text) in (1..).zip(document.lines()) {
        let mut complain = |what: String| problems.push(format!("line {line}: {what}"));
        let Some(row) = row_at(line) else {
            if !matches!(expect, Expect::Anything) {
                complain("the table above has no rows".to_owned());
            }
            expect = Expect::Anything;
            continue;
        };
        expect = match expect {
            Expect::Anything if row.cells == HEAD => Expect::Rule,
            Expect::Rule if row.cells.iter().all(|cell| *cell == "---") => Expect::Row,
            Expect::Row | Expect::MoreRows => {
                judge(row, read).into_iter().for_each(&mut complain);
                Expect::MoreRows
            }
            Expect::Anything | Expect::Rule => {
                complain(format!("{text} is not how a table begins"));
                Expect::MoreRows
            }
        };
        if let Expect::MoreRows = expect
            && row_at(line + 1).is_none()
        {
            expect = Expect::Anything;
        }
    }
    if !matches!(expect, Expect::Anything) {
        problems.push("the last table has no rows".to_owned());
    }
    if rows.is_empty() {
        problems.push("there are no tables".to_owned());
    }
    problems
}

/// What the next line has to be.
#[derive(Clone, Copy)]
enum Expect {
    Anything,
    Rule,
    Row,
    MoreRows,
}

/// What is wrong with a row.
fn judge(row: &Row<'_>, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let [section, level, rule, _, shown_by] = row.cells[..] else {
        return vec![format!("{} cells", row.cells.len())];
    };
    let mut problems = Vec::new();
    if [section, rule].contains(&"") || !LEVELS.contains(&level) {
        problems.push("a section, level or rule is missing".to_owned());
    }
    let reason = shown_by.strip_prefix("no test: ");
    if reason.is_some_and(|reason| reason.split_whitespace().count() < 3) {
        problems.push("that is no reason".to_owned());
    }
    // Every other part is between backticks.
    let names: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
    let mut tested = reason.is_some();
    for name in names {
        match is_shown_by(name, read) {
            Some(Evidence::Test) => tested = true,
            Some(Evidence::Case) => {}
            None => problems.push(format!("there is no {name}")),
        }
    }
    if !tested {
        problems.push("neither a test nor a reason for having none".to_owned());
    }
    problems
}

/// What a name in the last column stands for.
enum Evidence {
    /// A test that `cargo test` runs.
    Test,
    /// A case of a script in `scripts`, which takes more than Rust.
    Case,
}

/// Finds what is named, if there is such a thing: `path/of/file::test`, or `autobahn 7.1`.
fn is_shown_by(name: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<Evidence> {
    if let Some((file, test)) = name.split_once("::") {
        let source = match file.starts_with("tests/") {
            true => read(&format!("{file}.rs")),
            false => read(&format!("src/{file}.rs")),
        };
        return tests(&source?).contains(test).then_some(Evidence::Test);
    }
    let (script, case) = name.split_once(' ')?;
    let cases = match script {
        "autobahn" => read("scripts/autobahn-cases.txt"),
        "interop" => read("tests/interop/cases.txt"),
        "interop-servers" => read("tests/interop/cases-servers.txt"),
        _ => None,
    };
    let first_words = |line: &str| line.split_whitespace().next().map(str::to_owned);
    cases?.lines().filter_map(first_words).any(|it| it == case).then_some(Evidence::Case)
}

/// The names of all functions that are marked as tests, alone or within `proptest!`.
fn tests(source: &str) -> HashSet<&str> {
    let (mut tests, mut marked) = (HashSet::new(), false);
    for line in source.lines().map(str::trim_start) {
        if let Some(function) = line.strip_prefix("fn ") {
            tests.extend(function.split('(').next().filter(|_| marked));
        }
        let between = line.starts_with("#[") || line.starts_with("//");
        marked = line == "#[test]" || marked && between;
    }
    tests
}

/// Checks what is found wrong with a document that has these lines below a heading.
#[track_caller]
fn check(lines: &str, expected: &[&str]) {
    let read = |path: &str| match path {
        "src/a/tests.rs" => Some("#[test]\nfn rule() {}\nfn helper() {}\n".to_owned()),
        "tests/b.rs" => {
            Some("proptest! {\n    #[test]\n    // Why.\n    fn law(x: u8) {}\n}".to_owned())
        }
        "scripts/autobahn-cases.txt" => Some("# 9\n1.1    8  text".to_owned()),
        _ => None,
    };
    let document = format!("# Title\n\n| a | b |\n|---|---|\n\n## RFC 1: a protocol\n\n{lines}");
    assert_eq!(problems(&document, &read), expected, "{lines}");
}

const TABLE: &str = "| § |  | rule | here | shown by |\n|---|---|---|---|---|\n";

#[test]
fn a_row_has_a_test_or_a_reason() {
    let row = |shown_by: &str| format!("{TABLE}| 1 | MUST | Do. | done | {shown_by} |\n");
    check(&row("`a/tests::rule`"), &[]);
    check(&row("`tests/b::law`, `autobahn 1.1`"), &[]);
    check(&row("no test: the compiler sees to it"), &[]);
    let neither = "line 10: neither a test nor a reason for having none";
    check(&row(""), &[neither]);
    check(&row("a test"), &[neither]);
    check(&row("`autobahn 1.1`"), &[neither]);
    check(&row("no test: none"), &["line 10: that is no reason"]);
}

#[test]
fn whatever_is_named_is_there() {
    for name in
        ["a/tests::helper", "a/tests::rul", "b::law", "c::rule", "autobahn 1", "rule", "x y"]
    {
        let row = format!("{TABLE}| 1 | MUST | Do. | done | `a/tests::rule`, `{name}` |\n");
        check(&row, &[&*format!("line 10: there is no {name}")]);
    }
}

#[test]
fn a_table_has_its_head_and_rows() {
    let empty = "line 10: the table above has no rows";
    check(&format!("{TABLE}\nText.\n"), &[empty]);
    check(TABLE, &["the last table has no rows"]);
    check("Text.\n", &["there are no tables"]);
    let row = "| 1 | MUST | Do. | done | `a/tests::rule` |\n";
    check(row, &["line 8: | 1 | MUST | Do. | done | `a/tests::rule` | is not how a table begins"]);
    check(&format!("{TABLE}{row}\n{TABLE}{row}"), &[]);
    let missing = "line 10: a section, level or rule is missing";
    check(&format!("{TABLE}| 1 | WILL | Do. | done | `a/tests::rule` |\n"), &[missing]);
    check(&format!("{TABLE}| 1 | MUST |  | done | `a/tests::rule` |\n"), &[missing]);
    check(&format!("{TABLE}| 1 | MUST | Do. | `a/tests::rule` |\n"), &["line 10: 4 cells"]);
}
