//! What SECURITY.md and RELIABILITY.md call shown is shown: each test and file that they name is there, and no row of a
//! table with a column of tests goes without.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 2] = ["SECURITY.md", "RELIABILITY.md"];
/// Folders that tests are in.
const FOLDERS: [&str; 9] = [
    "demo",
    "integrations",
    "player-core",
    "player-crypto",
    "player-text",
    "player-transmux",
    "player-wasm",
    "tests",
    "xtask",
];

/// All that a document can name.
struct Project {
    /// Paths from the project's root.
    files: BTreeSet<String>,
    /// Rust tests by name.
    tests: BTreeSet<String>,
    /// Source text of the browser tests.
    browser: String,
}

impl Project {
    fn read() -> Self {
        let root = root();
        let mut project =
            Self { files: BTreeSet::new(), tests: BTreeSet::new(), browser: String::new() };
        let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                let name = entry.file_name().into_string().unwrap();
                if path.is_dir() {
                    if !["node_modules", "target", "out"].contains(&name.as_str()) {
                        folders.push(path);
                    }
                } else if name.ends_with(".rs") || name.ends_with(".mjs") {
                    let text = fs::read_to_string(&path).unwrap();
                    if name.ends_with(".rs") {
                        project.tests.extend(rust_tests(&text));
                    } else if name.ends_with(".test.mjs") {
                        project.browser.push_str(&text);
                    }
                    let path = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    project.files.insert(path.replace('\\', "/"));
                }
            }
        }
        project
    }

    /// What `token` is, if it names a test or where tests are; whether it is there. `None` if it is something else.
    fn has(&self, token: &str, after_browser_test: bool) -> Option<bool> {
        let beginning = token.strip_suffix('…');
        if token.contains(' ') {
            // `a browser test by its name`, behind its file's.
            let name = beginning.unwrap_or(token);
            return after_browser_test.then(|| self.browser.contains(name));
        }
        if token.ends_with(".rs") || token.ends_with(".mjs") {
            return Some(self.files.iter().any(|file| ends_like(file, token)));
        }
        if token.ends_with('/') {
            return Some(self.files.iter().any(|file| file.starts_with(token)));
        }
        // Other names of code are shorter, or at least not cut short.
        let words = if beginning.is_some() { 2 } else { 3 };
        let is_test = token.matches('_').count() >= words
            && token.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '…'));
        is_test.then(|| match beginning {
            Some(beginning) => self.tests.iter().any(|test| test.starts_with(beginning)),
            None => self.tests.contains(token),
        })
    }

    /// What a line of a document names: how many tests are there, and what is not.
    fn check(&self, line: &str) -> (usize, Vec<String>) {
        let mut found = 0;
        let mut missing = Vec::new();
        let mut after_browser_test = false;
        for token in line.split('`').skip(1).step_by(2) {
            let there = self.has(token, after_browser_test);
            after_browser_test =
                token.ends_with(".test.mjs") || after_browser_test && token.contains(' ');
            match there {
                Some(true) => found += 1,
                Some(false) => missing.push(token.to_owned()),
                None => {}
            }
        }
        (found, missing)
    }
}

/// Names of the functions with an attribute that makes them tests.
fn rust_tests(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if is_test {
                names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
            is_test = false;
        }
    }
    names
}

/// Whether a path ends as `token` says, whose `*` stands for anything within a name.
fn ends_like(path: &str, token: &str) -> bool {
    let (mut path, mut token) = (path.rsplit('/'), token.rsplit('/'));
    token.all(|wanted| {
        path.next().is_some_and(|name| match wanted.split_once('*') {
            Some((first, last)) => name.starts_with(first) && name.ends_with(last),
            None => name == wanted,
        })
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// For each document, what it names and is not there, and rows without a test, each with its line.
fn faults(project: &Project, document: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // The last column is one of tests.
    let mut tested = false;
    let mut rows = 0;
    for (number, line) in text.lines().enumerate() {
        let at = format!("{document}:{}", number + 1);
        let (_, missing) = project.check(line);
        faults.extend(missing.iter().map(|name| format!("{at}: there is no {name}")));
        if !line.starts_with('|') {
            tested = false;
            continue;
        }
        let last = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        if last == "test" {
            tested = true;
            rows = 0;
        } else if tested && !last.starts_with("--") {
            rows += 1;
            let same = rows > 1 && last == "the same";
            if !same && project.check(last).0 == 0 {
                faults.push(format!("{at}: no test: {line}"));
            }
        }
    }
    faults
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    let project = Project::read();
    let mut all = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        all.extend(faults(&project, document, &text));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_test_that_is_not_there_and_a_row_without_one_are_found() {
    let project = Project::read();
    let text = "Shown by `every_test_that_the_documents_name_is_there` and `a_test_that_…` in `tests/documents.rs`.\n\
        Not by `a_test_that_was_taken_out`, `nor_this_one_here_…` or `gone.rs`.\n\
        `share.test.mjs`: `for a whole film: a second…`, `for half a film…`\n\
        | what | test |\n|---|---|\n| a | `share.test.mjs` |\n| b | the same |\n| c | someday |\n| d | |\n";
    assert_eq!(
        faults(&project, "X.md", text),
        [
            "X.md:2: there is no a_test_that_was_taken_out",
            "X.md:2: there is no nor_this_one_here_…",
            "X.md:2: there is no gone.rs",
            "X.md:3: there is no for half a film…",
            "X.md:8: no test: | c | someday |",
            "X.md:9: no test: | d | |",
        ]
    );
}
