//! `cargo xtask test`: every check, a summary, and a count as the last line.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::build::{self, TARGET};
use crate::step::{cargo, npm, run, step};
use crate::{demo, imports, size, supply, system};

/// A check that was run.
struct Check {
    name: &'static str,
    seconds: f64,
    failure: Option<String>,
}

/// Sets up and runs all checks, also after one has failed. The error is empty: the summary says all.
pub(crate) fn run_all(root: &Path, quick: bool) -> Result<(), String> {
    let mut checks = Checks { done: Vec::new() };
    if !checks.run("set up", || components(root).and_then(|()| build::set_up(root))) {
        return checks.summary();
    }
    let www = root.join("www");

    checks.run("format", || {
        run(cargo(root).args(["fmt", "--all", "--check"]), "put it right with: cargo fmt --all")
    });
    checks.run("build", || build::player(root));
    checks.run("clippy", || lint(root, &["--workspace", "--all-targets"]));
    checks.run("clippy for wasm", || lint(root, &["-p", "player-wasm", "--target", TARGET]));
    checks.run("rust tests", || {
        run(cargo(root).args(["test", "--workspace"]), "one crate alone: cargo test -p CRATE")
    });
    checks.run("wasm imports", || size::imports(root).and_then(|()| imports::check(root, false)));
    checks.run("supply chain", || supply::check(root));
    checks.run("size budget", || size::print(root));
    checks.run("typescript", || {
        run(npm(&www).args(["run", "--silent", "check"]), "again with: npm run check (in www)")
    });
    if quick {
        println!("\n    the browsers are left out (--quick)");
    } else {
        checks.run("browsers", || browsers(root));
    }
    checks.summary()
}

fn browsers(root: &Path) -> Result<(), String> {
    let folder = root.join("tests/browser");
    step("set up the browsers", || system::browsers().and_then(|()| build::npm_ci(&folder)))?;
    step("compile the server", || demo::server(root))?;
    step("compile what replays recordings", || {
        let mut build = cargo(root);
        build.args(["build", "-p", "tests", "--bin", "replay"]);
        run(&mut build, "the compiler's messages above say why")
    })?;
    run(npm(&folder).args(["test", "--silent"]), "again with: npm test (in tests/browser)")
}

fn lint(root: &Path, what: &[&str]) -> Result<(), String> {
    run(
        cargo(root).arg("clippy").args(what).args(["--", "-D", "warnings"]),
        "the messages above say why",
    )
}

/// rustfmt and clippy, which rustup's minimal profile leaves out.
fn components(root: &Path) -> Result<(), String> {
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let version = cargo(root).args([command, "--version"]).output();
        if version.is_ok_and(|output| output.status.success()) {
            continue;
        }
        let mut rustup = Command::new("rustup");
        rustup.current_dir(root).args(["component", "add", component]);
        run(&mut rustup, "install it by rustup, or from your distribution")?;
    }
    Ok(())
}

struct Checks {
    done: Vec<Check>,
}

impl Checks {
    /// Does one check; true when it passed.
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<(), String>) -> bool {
        let start = Instant::now();
        let failure = step(name, work).err();
        if let Some(message) = &failure {
            eprintln!("    {message}");
        }
        let passed = failure.is_none();
        self.done.push(Check { name, seconds: start.elapsed().as_secs_f64(), failure });
        passed
    }

    fn summary(&self) -> Result<(), String> {
        println!("\n==> summary");
        for check in &self.done {
            let outcome = if check.failure.is_none() { "passed" } else { "FAILED" };
            println!("    {outcome:<8}{:<20}{:>8.1} s", check.name, check.seconds);
        }
        for check in &self.done {
            if let Some(message) = &check.failure {
                println!("\n    {}: {message}", check.name);
            }
        }
        let failed = self.done.iter().filter(|check| check.failure.is_some()).count();
        println!("\n{} passed, {failed} failed", self.done.len() - failed);
        if failed == 0 { Ok(()) } else { Err(String::new()) }
    }
}
