//! Short names for what a module and its script have of each other. wasm-bindgen puts a hash into the name of each
//! import. It is in the module and in the script and does not compress: KBs that each page would download.

use wasm_bindgen_cli_support::Output;

/// Renames the module's imports from its script, and its exports. Returns the script with the new names, and what the
/// imports were called.
pub(crate) fn shorten(output: &mut Output, stem: &str) -> Result<(String, Vec<String>), String> {
    let mut script = output.js().to_owned();
    let own = format!("./{stem}_bg.js");
    let module = output.wasm_mut();
    let mut before = Vec::new();
    let mut names = (0..).map(short);
    for import in module.imports.iter_mut().filter(|import| import.module == own) {
        let name = names.next().unwrap_or_default();
        // A property of the object that the script hands over.
        let (renamed, count) = replace_word(&script, &import.name, &name);
        if count != 1 {
            let name = &import.name;
            return Err(format!("wasm-bindgen's script has {name} {count} times, not once"));
        }
        script = renamed;
        before.push(std::mem::replace(&mut import.name, name));
    }
    let mut names = (0..).map(short);
    for export in module.exports.iter_mut() {
        let name = names.next().unwrap_or_default();
        let (used, new) = (format!("wasm.{}", export.name), format!("wasm.{name}"));
        script = replace_word(&script, &used, &new).0;
        export.name = name;
    }
    Ok((script, before))
}

/// The shortest names first: `a` to `Z`, then `aa`.
pub(crate) fn short(index: usize) -> String {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let (before, last) = (index / LETTERS.len(), index % LETTERS.len());
    let mut name = if before > 0 { short(before - 1) } else { String::new() };
    name.push(char::from(LETTERS[last]));
    name
}

/// Replaces a word where it stands alone, and counts.
fn replace_word(text: &str, word: &str, new: &str) -> (String, usize) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut count) = (text, 0);
    while let Some((before, after)) = rest.split_once(word) {
        out.push_str(before);
        if out.ends_with(is_name) || after.starts_with(is_name) {
            out.push_str(word);
        } else {
            out.push_str(new);
            count += 1;
        }
        rest = after;
    }
    out.push_str(rest);
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_all_different() {
        let names: std::collections::BTreeSet<String> = (0..3000).map(short).collect();
        assert_eq!(names.len(), 3000);
        assert_eq!((short(0).as_str(), short(51).as_str(), short(52).as_str()), ("a", "Z", "aa"));
    }

    #[test]
    fn only_whole_words_are_replaced() {
        let (text, count) =
            replace_word("wasm.free(wasm.freed, xwasm.free, wasm.free)", "wasm.free", "wasm.a");
        assert_eq!((text.as_str(), count), ("wasm.a(wasm.freed, xwasm.free, wasm.a)", 2));
    }
}
