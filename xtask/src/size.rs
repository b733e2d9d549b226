//! What a page downloads, against the budget in `www/budget.json`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::step::capture;

/// Prints the size table. An error when a bundle is over its budget.
pub(crate) fn print(root: &Path) -> Result<(), String> {
    let report = measure(root)?;
    println!("\n    {:<28}{:>12}{:>12}{:>12}", "bytes", "raw", "brotli", "budget");
    let mut over = Vec::new();
    for bundle in array(&report, "bundles")? {
        let name = text(bundle, "name")?;
        let limit = bundle.get("limit").and_then(Value::as_u64);
        let brotli = number(bundle, "brotli")?;
        let budget = limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        println!("    {:<28}{:>12}{:>12}{:>12}", name, number(bundle, "raw")?, brotli, budget);
        for file in array(bundle, "files")? {
            let name = format!("  {}", text(file, "name")?);
            println!("    {:<28}{:>12}{:>12}", name, number(file, "raw")?, number(file, "brotli")?);
        }
        if let Some(limit) = limit.filter(|limit| brotli > *limit) {
            over.push(format!("{name} is {brotli} bytes, its budget is {limit}"));
        }
    }
    if over.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{}\n  make it smaller, or argue for another budget in www/budget.json",
            over.join("; ")
        ))
    }
}

/// The modules import only what their own scripts hand them, and parts what the engine does: an import from `env` is a C
/// symbol that nobody provides, and the module would not start in any browser.
pub(crate) fn imports(root: &Path) -> Result<(), String> {
    let report = measure(root)?;
    let modules: Vec<&str> = array(&report, "imports")?.iter().filter_map(Value::as_str).collect();
    println!("    the modules import from: {}", modules.join(", "));
    if modules.is_empty() {
        return Err("the engine imports nothing at all: that is not the bound module".to_owned());
    }
    let own = |name: &str| name == "p" || (name.starts_with("./") && name.ends_with("_bg.js"));
    if let Some(foreign) = modules.iter().find(|name| !own(name)) {
        return Err(format!(
            "a module imports from {foreign:?}\n  \
             a dependency links a C function: find it with `cargo tree -p player-wasm --target wasm32-unknown-unknown`"
        ));
    }
    Ok(())
}

fn measure(root: &Path) -> Result<Value, String> {
    let mut command = Command::new("node");
    command.current_dir(root.join("www")).arg("sizes.mjs");
    let json = capture(&mut command, "build first: cargo xtask build")?;
    serde_json::from_str(&json).map_err(|error| format!("www/sizes.mjs printed no report: {error}"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    value.get(key).and_then(Value::as_array).ok_or_else(|| no(key))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| no(key))
}

fn number(value: &Value, key: &str) -> Result<u64, String> {
    value.get(key).and_then(Value::as_u64).ok_or_else(|| no(key))
}

fn no(key: &str) -> String {
    format!("the report of www/sizes.mjs has no {key:?}")
}
