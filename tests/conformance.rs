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

const RULE: [&str; 5] = ["---"; 5];

const LEVELS: [&str; 5] = ["MUST", "SHOULD", "MAY", "ours", "—"];

#[test]
fn whatever_the_document_names_as_a_test_is_one() {
    let document = read("docs/conformance.md").expect("the document");
    let problems = problems(&document, &read);
    assert!(problems.is_empty(), "docs/conformance.md:\n{}", problems.join("\n"));
    let tables = tables(&document);
    for (rfc, sections) in SECTIONS {
        let of_rfc = tables.iter().filter(|table| table.rfc == rfc);
        let found: HashSet<_> = of_rfc.flat_map(Table::rows).map(|row| row.cells[0]).collect();
        for section in sections {
            assert!(found.contains(section), "there is no row for {rfc} §{section}");
        }
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// A table below a heading that begins with the name of an RFC.
struct Table<'d> {
    rfc: &'d str,
    lines: Vec<Line<'d>>,
}

struct Line<'d> {
    number: usize,
    cells: Vec<&'d str>,
}

impl Table<'_> {
    /// All lines but the head, and what rules it off.
    fn rows(&self) -> &[Line<'_>] {
        self.lines.get(2..).unwrap_or_default()
    }
}

fn tables(document: &str) -> Vec<Table<'_>> {
    let (mut tables, mut rfc, mut table) = (Vec::new(), None, None);
    for (number, text) in (1..).zip(document.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            rfc = heading.starts_with("RFC ").then(|| heading.split(':').next().unwrap());
        }
        if let (Some(rfc), Some(row)) = (rfc, text.trim().strip_prefix('|')) {
            let cells = row.strip_suffix('|').unwrap_or(row).split('|').map(str::trim).collect();
            let table = table.get_or_insert_with(|| Table { rfc, lines: Vec::new() });
            table.lines.push(Line { number, cells });
        } else {
            tables.extend(table.take());
        }
    }
    tables.extend(table);
    tables
}

/// What is wrong with the document, by line.
fn problems(document: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let tables = tables(document);
    for table in &tables {
        let first = &table.lines[0];
        let is_rule = |line: &Line<'_>| line.cells == RULE;
        if first.cells != HEAD || !table.lines.get(1).is_some_and(is_rule) {
            problems.push(format!("line {}: that is not how a table begins", first.number));
        }
        if table.rows().is_empty() {
            problems.push(format!("line {}: the table has no rows", first.number));
        }
        for row in table.rows() {
            let found = judge(&row.cells, read).into_iter();
            problems.extend(found.map(|what| format!("line {}: {what}", row.number)));
        }
    }
    if tables.is_empty() {
        problems.push("there are no tables".to_owned());
    }
    problems
}

/// What is wrong with a row.
fn judge(cells: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let &[section, level, rule, _, shown_by] = cells else {
        return vec![format!("{} cells", cells.len())];
    };
    let mut problems = Vec::new();
    if [section, rule].contains(&"") || !LEVELS.contains(&level) {
        problems.push("a section, level or rule is missing".to_owned());
    }
    let reason = shown_by.strip_prefix("no test: ");
    if reason.is_some_and(|reason| reason.split_whitespace().count() < 3) {
        problems.push("that is no reason".to_owned());
    }
    let mut tested = reason.is_some();
    // Every other part is between backticks.
    for name in shown_by.split('`').skip(1).step_by(2) {
        match evidence(name, read) {
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
fn evidence(name: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<Evidence> {
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
    let empty = "line 8: the table has no rows";
    check(&format!("{TABLE}\nText.\n"), &[empty]);
    check(TABLE, &[empty]);
    check("Text.\n", &["there are no tables"]);
    let row = "| 1 | MUST | Do. | done | `a/tests::rule` |\n";
    check(row, &["line 8: that is not how a table begins", empty]);
    let head = TABLE.lines().next().unwrap();
    check(&format!("{head}\n{row}{row}"), &["line 8: that is not how a table begins"]);
    check(&format!("{TABLE}{row}\n{TABLE}{row}"), &[]);
    check(
        &format!("{TABLE}| 1 | MUST | Do. | done | a test"),
        &["line 10: neither a test nor a reason for having none"],
    );
    let missing = "line 10: a section, level or rule is missing";
    check(&format!("{TABLE}| 1 | WILL | Do. | done | `a/tests::rule` |\n"), &[missing]);
    check(&format!("{TABLE}| 1 | MUST |  | done | `a/tests::rule` |\n"), &[missing]);
    check(&format!("{TABLE}| 1 | MUST | Do. | `a/tests::rule` |\n"), &["line 10: 4 cells"]);
}
