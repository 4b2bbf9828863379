//! `dev/conformance/*.md`: which test shows which statement, written from the names of the
//! tests in this folder and the lists of statements beside the tables.
//!
//! With `TIDEGATE_WRITE_CONFORMANCE=1` the tables are written; otherwise they must be what
//! they would be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A version of the protocol and its files.
struct Standard {
    title: &'static str,
    introduction: &'static str,
    /// `NAME-statements.txt` and `NAME.md`.
    name: &'static str,
    /// How the names of its tests begin.
    prefix: &'static str,
}

const MQTT_5: Standard = Standard {
    title: "MQTT 5.0",
    introduction: "Every normative statement of OASIS MQTT 5.0 by its number.",
    name: "mqtt5",
    prefix: "mqtt_",
};

const MQTT_311: Standard = Standard {
    title: "MQTT 3.1.1",
    introduction: "The normative statements of OASIS MQTT 3.1.1 that bind a server and ask \
                   for something else than those of MQTT 5.0, or have no like there.",
    name: "mqtt311",
    prefix: "mqtt311_",
};

/// A line of a list.
struct Statement {
    number: String,
    binds: String,
    gist: String,
}

fn conformance_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/conformance")
}

impl Standard {
    fn statements(&self) -> Vec<Statement> {
        let file = conformance_directory().join(format!("{}-statements.txt", self.name));
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let statement = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            let mut word = || words.next().expect(line);
            let (number, binds, gist) = (word(), word(), word());
            assert!(
                ["server", "client", "both", "optional"].contains(&&*binds),
                "{line}"
            );
            Statement {
                number,
                binds,
                gist,
            }
        };
        lines.map(statement).collect()
    }

    /// The tests by the statement that each is named after.
    fn tests(&self, statements: &[Statement]) -> BTreeMap<String, Vec<String>> {
        let mut tests: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for name in test_names() {
            if !name.starts_with(self.prefix) {
                continue;
            }
            let named = |statement: &&Statement| {
                let number = statement.number.replace(['.', '-'], "_");
                name.starts_with(&format!("{}{number}_", self.prefix))
            };
            let statement = statements.iter().find(named);
            let number = &statement.expect("a statement that there is not").number;
            tests.entry(number.clone()).or_default().push(name);
        }
        tests
    }

    fn table(&self) -> String {
        let statements = self.statements();
        let tests = self.tests(&statements);
        let mut missing = Vec::new();
        let mut rows = String::new();
        for statement in &statements {
            let shown = match tests.get(&statement.number) {
                Some(names) => names.iter().map(|name| format!("`{name}`")).collect(),
                None if statement.binds == "client" => vec!["binds a client only".to_owned()],
                None if statement.binds == "optional" => vec!["not offered".to_owned()],
                None => {
                    missing.push(statement.number.as_str());
                    continue;
                }
            };
            let (number, gist, shown) = (&statement.number, &statement.gist, shown.join("<br>"));
            let binds = &statement.binds;
            writeln!(rows, "| {number} | {binds} | {gist} | {shown} |").unwrap();
        }
        assert!(missing.is_empty(), "no test shows {missing:?}");
        let (title, introduction) = (self.title, self.introduction);
        let server = statements
            .iter()
            .filter(|one| one.binds != "client")
            .count();
        format!(
            "# {title}: what shows that the broker conforms\n\n{introduction} Written by \
             `TIDEGATE_WRITE_CONFORMANCE=1 cargo test -p tidegate --test conformance table`, \
             and compared by the same test without it. The tests are in \
             `crates/tidegate/tests/conformance`; they run the real binary.\n\n\
             {} statements, of which {server} bind a server; {} tests.\n\n\
             | Statement | Binds | About | Tests |\n|---|---|---|---|\n{rows}",
            statements.len(),
            tests.values().map(Vec::len).sum::<usize>(),
        )
    }

    fn compare(&self) {
        let file = conformance_directory().join(format!("{}.md", self.name));
        let table = self.table();
        if std::env::var_os("TIDEGATE_WRITE_CONFORMANCE").is_some() {
            std::fs::write(&file, &table).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == table, "{} is out of date", file.display());
    }
}

/// The tests of this folder, in the order of the files and in them.
fn test_names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut names = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut lines = text.lines();
        // What is not a test does not count.
        while lines.any(|line| line == "#[test]") {
            let name = lines.next().and_then(|line| line.strip_prefix("fn "));
            names.push(name.unwrap().split('(').next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn table_of_mqtt_5_is_what_the_tests_say() {
    assert_eq!(MQTT_5.statements().len(), 251);
    MQTT_5.compare();
}

#[test]
fn table_of_mqtt_311_is_what_the_tests_say() {
    MQTT_311.compare();
}
