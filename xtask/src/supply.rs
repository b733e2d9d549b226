//! `cargo xtask supply`: where the project's dependencies come from, and what they may be.
//!
//! What cargo-deny checks of the workspace, out of its `deny.toml`, without having to install it; npm's lock files; and
//! what the project promises of its own code. Where cargo-deny is installed, it has its own say. Advisories need the
//! network: where it is not there they are left out, with a notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use crate::licence;
use crate::step::{capture, cargo, npm, run};

/// Where crates come from.
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Where packages come from.
const PACKAGES: &str = "https://registry.npmjs.org/";
/// Folders with a `package-lock.json`.
const NPM: [&str; 3] = ["www", "tests/browser", "tests/bench"];
/// What pages download is built of this folder's dependencies.
const SHIPPED: &str = "www";
/// What is built of crates, and what cargo-deny checks of it. Which versions a tracker has that is only measured is its
/// makers' concern.
const CARGO: [(&str, &[&str]); 3] = [
    (".", &["licenses", "bans", "sources"]),
    ("tests/fuzz", &["licenses", "bans", "sources"]),
    ("tests/bench/aquatic", &["licenses", "sources"]),
];
/// Members that forbid unsafe code otherwise than the rest, or not, and why.
const LINTS_OF_THEIR_OWN: [(&str, &str); 1] =
    [("tests/bench/parse", "bindings of a measurement, which nobody ships")];
/// What turns text into code.
const EVALUATION: [&str; 4] = ["eval(", "new Function(", "importScripts(", "document.write("];

/// Does all checks, and says all that is wrong.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let rules = Rules::read(root)?;
    let mut wrong = Vec::new();
    crates(root, &rules, &mut wrong)?;
    for (folder, _) in CARGO {
        let lock = Path::new(folder).join("Cargo.lock");
        cargo_lock(&toml(&root.join(&lock))?, &lock.display().to_string(), &mut wrong);
    }
    members(root, &mut wrong)?;
    for folder in NPM {
        let path = root.join(folder).join("package-lock.json");
        npm_lock(&json(&path)?, folder, &rules, &mut wrong);
    }
    evaluation(&root.join("www/dist"), &mut wrong)?;
    deny(root)?;
    audit(root, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ")) }
}

/// What `deny.toml` says.
struct Rules {
    licences: Vec<String>,
    /// Crates that there may be several versions of.
    several: BTreeSet<String>,
}

impl Rules {
    fn read(root: &Path) -> Result<Self, String> {
        let file = toml(&root.join("deny.toml"))?;
        let list = |item: Option<&Item>| -> Vec<toml_edit::Value> {
            item.and_then(Item::as_array)
                .map(|list| list.iter().cloned().collect())
                .unwrap_or_default()
        };
        let text = |value: &toml_edit::Value| value.as_str().map(str::to_owned);
        let licences = list(file.get("licenses").and_then(|table| table.get("allow")));
        let several = list(file.get("bans").and_then(|table| table.get("skip")));
        let crate_of = |entry: &toml_edit::Value| text(entry.as_inline_table()?.get("crate")?);
        let rules = Self {
            licences: licences.iter().filter_map(text).collect(),
            several: several.iter().filter_map(crate_of).collect(),
        };
        if rules.licences.is_empty() {
            return Err("deny.toml allows no licence: it should have [licenses] allow".to_owned());
        }
        Ok(rules)
    }
}

/// Licences, sources and duplicates of what the workspace is built of, on all systems. `--locked`: the lock file is whole.
fn crates(root: &Path, rules: &Rules, wrong: &mut Vec<String>) -> Result<(), String> {
    let mut command = cargo(root);
    command.args(["metadata", "--locked", "--format-version", "1", "--quiet"]);
    let way_out = "Cargo.lock is not what Cargo.toml asks for: run cargo check, and commit it";
    let metadata: Value = serde_json::from_str(&capture(&mut command, way_out)?)
        .map_err(|error| format!("cargo metadata printed no JSON: {error}"))?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in packages {
        let text = |key: &str| package[key].as_str();
        let (name, version) = (text("name").unwrap_or(""), text("version").unwrap_or(""));
        *versions.entry(name).or_default() += 1;
        if text("source").is_some_and(|source| source != CRATES) {
            wrong.push(format!("{name} {version} comes from {}", text("source").unwrap_or("")));
        }
        let licence = text("license").unwrap_or("no licence that its manifest names");
        if !licence::allowed(licence, &rules.licences) {
            wrong.push(format!("{name} {version} has {licence}, which deny.toml does not allow"));
        }
    }
    for (name, _) in versions.iter().filter(|entry| *entry.1 > 1) {
        if !rules.several.contains(*name) {
            wrong.push(format!(
                "{name} is there in several versions: cargo tree -d --target all -i {name}"
            ));
        }
    }
    for name in &rules.several {
        if versions.get(name.as_str()).is_none_or(|count| *count < 2) {
            wrong.push(format!("deny.toml skips {name}, of which there are not several versions"));
        }
    }
    println!("    {} crates", packages.len());
    Ok(())
}

/// Everything from elsewhere is of the one registry, and pinned by its hash.
fn cargo_lock(lock: &DocumentMut, name: &str, wrong: &mut Vec<String>) {
    let packages = lock.get("package").and_then(Item::as_array_of_tables);
    for package in packages.into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(Item::as_str);
        let pinned = text("checksum").is_some_and(|sum| sum.len() == 64);
        if text("source").is_some_and(|source| source != CRATES || !pinned) {
            let package = text("name").unwrap_or("");
            wrong.push(format!("{name}: {package} is not pinned to a file of crates.io"));
        }
    }
}

/// The workspace forbids unsafe code, and its members take that up.
fn members(root: &Path, wrong: &mut Vec<String>) -> Result<(), String> {
    let workspace = toml(&root.join("Cargo.toml"))?;
    let table = &workspace["workspace"];
    if table["lints"]["rust"]["unsafe_code"].as_str() != Some("forbid") {
        wrong.push("Cargo.toml does not forbid unsafe code any more".to_owned());
    }
    let members = table["members"].as_array().into_iter().flatten();
    for member in members.filter_map(toml_edit::Value::as_str) {
        let manifest = toml(&root.join(member).join("Cargo.toml"))?;
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        let excepted = LINTS_OF_THEIR_OWN.iter().any(|one| one.0 == member);
        if inherits.and_then(Item::as_bool) != Some(true) && !excepted {
            wrong.push(format!("{member}/Cargo.toml does not have [lints] workspace = true"));
        }
    }
    Ok(())
}

/// Each package is of the one registry and pinned by its hash; those that ship have an allowed licence.
fn npm_lock(lock: &Value, folder: &str, rules: &Rules, wrong: &mut Vec<String>) {
    let packages = lock["packages"].as_object();
    for (path, package) in packages.into_iter().flatten().filter(|entry| !entry.0.is_empty()) {
        let text = |key: &str| package[key].as_str();
        let hashed = text("integrity").is_some_and(|hash| hash.starts_with("sha512-"));
        let elsewhere = text("resolved").is_some_and(|url| !url.starts_with(PACKAGES));
        if !hashed || elsewhere || package["link"].as_bool() == Some(true) {
            wrong.push(format!(
                "{folder}/package-lock.json: {path} is not pinned to a file of npm's"
            ));
        }
        let ships = folder == SHIPPED && package["dev"].as_bool() != Some(true);
        let licence = text("license").unwrap_or("no licence");
        if ships && !licence::allowed(licence, &rules.licences) {
            wrong.push(format!("{path} ships and has {licence}, which deny.toml does not allow"));
        }
    }
    if packages.is_none_or(serde_json::Map::is_empty) {
        wrong.push(format!("{folder}/package-lock.json names no packages"));
    }
}

/// Nothing that is built makes code of text.
fn evaluation(dist: &Path, wrong: &mut Vec<String>) -> Result<(), String> {
    let cannot = |error| {
        format!("cannot read {}: {error}\n  build first: cargo xtask build", dist.display())
    };
    let mut scripts = 0;
    for entry in fs::read_dir(dist).map_err(cannot)?.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "js") {
            continue;
        }
        scripts += 1;
        let script = fs::read_to_string(&path).map_err(cannot)?;
        for word in EVALUATION.iter().filter(|word| calls(&script, word)) {
            wrong.push(format!("{} has {word}…)", path.display()));
        }
    }
    println!("    {scripts} scripts, none of which evaluates text");
    Ok(())
}

/// Whether a script has a call that is not the end of another's name.
fn calls(script: &str, call: &str) -> bool {
    script.match_indices(call).any(|(at, _)| {
        let before = script[..at].chars().next_back();
        before.is_none_or(|one| !(one.is_alphanumeric() || "_$".contains(one)))
    })
}

/// What cargo-deny says, where it is there; of known vulnerabilities, where its database can be had.
fn deny(root: &Path) -> Result<(), String> {
    let deny = |folder: &str| {
        let mut command = cargo(root);
        command.args(["deny", "--locked", "--config", "deny.toml", "--manifest-path"]);
        command.arg(Path::new(folder).join("Cargo.toml"));
        command
    };
    if !quiet(cargo(root).args(["deny", "--version"])).is_some_and(|output| output.status.success())
    {
        println!("    skipped: cargo-deny, and with it advisories of crates, is not installed");
        println!("      cargo install cargo-deny --locked, and it is run");
        return Ok(());
    }
    for (folder, checks) in CARGO {
        let mut command = deny(folder);
        // One list is for all three.
        command.args(["check", "-A", "unmatched-skip", "-A", "unnecessary-skip"]).args(checks);
        run(&mut command, "see deny.toml")?;
    }
    // The database is a repository that is fetched.
    if quiet(deny(".").args(["fetch", "db"])).is_some_and(|output| output.status.success()) {
        run(deny(".").args(["check", "advisories"]), "update what it names")
    } else {
        println!("    skipped: RustSec's database of advisories cannot be fetched");
        Ok(())
    }
}

/// What a command answers, whatever it says besides.
fn quiet(command: &mut Command) -> Option<Output> {
    command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()
}

/// Known vulnerabilities of npm's packages, where npm can be asked.
fn audit(root: &Path, wrong: &mut Vec<String>) {
    let mut audit = npm(&root.join(SHIPPED));
    audit.args(["audit", "--json", "--fetch-retries=0", "--fetch-timeout=20000"]);
    let answer = quiet(&mut audit)
        .and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok())
        .filter(|answer| answer["auditReportVersion"].is_u64());
    match answer {
        None => println!("    skipped: npm's advisories cannot be reached"),
        Some(report) => judge(&report, wrong),
    }
}

/// What ships may have no known hole; what only builds is named.
fn judge(report: &Value, wrong: &mut Vec<String>) {
    for (name, found) in report["vulnerabilities"].as_object().into_iter().flatten() {
        let severity = found["severity"].as_str().unwrap_or("unknown");
        let ships = ["custom-media-element", "media-tracks"].contains(&name.as_str());
        let line = format!("npm's advisories name {name}: {severity}");
        if ships { wrong.push(line) } else { println!("    {line}, in what only builds") }
    }
}

fn toml(path: &Path) -> Result<DocumentMut, String> {
    let text = read(path)?;
    text.parse().map_err(|error| format!("{} is no TOML: {error}", path.display()))
}

fn json(path: &Path) -> Result<Value, String> {
    let text = read(path)?;
    serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { licences: vec!["MIT".to_owned()], several: BTreeSet::new() }
    }

    #[test]
    fn a_crate_from_elsewhere_or_without_a_hash_is_found() {
        let sum = "0".repeat(64);
        for (source, fine) in [
            (format!("source = \"{CRATES}\"\nchecksum = \"{sum}\""), true),
            (String::new(), true),
            (format!("source = \"{CRATES}\""), false),
            (format!("source = \"git+https://x.example/y#1\"\nchecksum = \"{sum}\""), false),
            (format!("source = \"registry+https://x.example\"\nchecksum = \"{sum}\""), false),
        ] {
            let lock = format!("[[package]]\nname = \"one\"\n{source}\n").parse().expect("TOML");
            let mut wrong = Vec::new();
            cargo_lock(&lock, "Cargo.lock", &mut wrong);
            assert_eq!(wrong.is_empty(), fine, "{source}: {wrong:?}");
        }
    }

    #[test]
    fn a_package_from_elsewhere_without_a_hash_or_a_licence_is_found() {
        for (package, faults) in [
            (r#"{"integrity":"sha512-a","license":"MIT"}"#, 0),
            (r#"{"integrity":"sha512-a","license":"GPL-3.0","dev":true}"#, 0),
            (r#"{"integrity":"sha512-a","license":"GPL-3.0"}"#, 1),
            (r#"{"integrity":"sha1-a","license":"MIT"}"#, 1),
            (r#"{"license":"MIT","resolved":"https://registry.npmjs.org/a.tgz"}"#, 1),
            (r#"{"integrity":"sha512-a","license":"MIT","resolved":"https://x.example/a.tgz"}"#, 1),
            (r#"{"link":true,"resolved":"../a"}"#, 2),
        ] {
            let lock = format!("{{\"packages\":{{\"\":{{}},\"node_modules/a\":{package}}}}}");
            let mut wrong = Vec::new();
            npm_lock(&serde_json::from_str(&lock).expect("JSON"), "www", &rules(), &mut wrong);
            assert_eq!(wrong.len(), faults, "{package}: {wrong:?}");
        }
    }

    #[test]
    fn a_call_that_evaluates_is_found_and_one_that_sounds_like_it_is_not() {
        for script in ["eval(a)", "x;eval(a)", "(0,window.eval(a))", "medieval(a);eval(b)"] {
            assert!(calls(script, "eval("), "{script}");
        }
        assert!(!calls("medieval(a);$eval(a);_eval(a)", "eval("));
    }

    #[test]
    fn a_hole_in_what_ships_is_a_fault_and_one_in_a_tool_is_named() {
        let report = r#"{"vulnerabilities":{"esbuild":{"severity":"high"},"media-tracks":{"severity":"low"}}}"#;
        let mut wrong = Vec::new();
        judge(&serde_json::from_str(report).expect("JSON"), &mut wrong);
        assert_eq!(wrong, ["npm's advisories name media-tracks: low"]);
    }
}
