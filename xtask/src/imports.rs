//! What the wasm modules ask of the browser: the list in `www/imports.txt`, so that one more is seen in review.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::build;

/// Compares what the last build imports with the list, or writes the list anew.
pub(crate) fn check(root: &Path, renew: bool) -> Result<(), String> {
    let built = built(root)?;
    let path = root.join("www/imports.txt");
    if renew {
        return fs::write(&path, text(&built))
            .map_err(|error| format!("could not write {}: {error}", path.display()));
    }
    let listed = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    let difference: Vec<String> = built
        .difference(&listed)
        .map(|one| format!("+ {one}"))
        .chain(listed.difference(&built).map(|one| format!("- {one}")))
        .collect();
    if difference.is_empty() {
        println!("    {} imports, as listed in www/imports.txt", built.len());
        return Ok(());
    }
    Err(format!(
        "the modules import something else than www/imports.txt lists:\n    {}\n  \
         if that is meant, `cargo xtask imports --renew` writes the list, to be committed",
        difference.join("\n    ")
    ))
}

/// Each module's imports by the names that they have in the sources, as wasm-bindgen left them beside its scripts.
fn built(root: &Path) -> Result<BTreeSet<String>, String> {
    let mut all = BTreeSet::new();
    for name in build::modules() {
        let path = root.join("www/pkg").join(name).with_extension("imports");
        let names = fs::read_to_string(&path).map_err(|error| {
            format!("cannot read {}: {error}\n  build first: cargo xtask build", path.display())
        })?;
        // Several types may have a method of one name.
        let mut times = BTreeMap::new();
        for import in names.lines() {
            let count: &mut usize = times.entry(import).or_default();
            *count += 1;
            let again = if *count > 1 { format!(" ({count})") } else { String::new() };
            all.insert(format!("{name}: {import}{again}"));
        }
    }
    Ok(all)
}

fn text(lines: &BTreeSet<String>) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A name as it is in the sources: wasm-bindgen adds a hash, which changes with its version.
pub(crate) fn plain(import: &str) -> &str {
    let name = import.strip_prefix("__wbg_").unwrap_or(import);
    match name.rsplit_once('_') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_sources() {
        assert_eq!(plain("__wbg_fetch_410ec47a64ac6117"), "fetch");
        assert_eq!(plain("__wbg_new_from_slice_0123456789abcdef"), "new_from_slice");
        assert_eq!(plain("__wbindgen_throw"), "__wbindgen_throw");
        assert_eq!(plain("__wbg_set_timeout"), "set_timeout");
    }
}
