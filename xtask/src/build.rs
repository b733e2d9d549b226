//! The player: Rust to WebAssembly, its bindings, and the page's scripts, into `www/dist`.
//! Each part is left alone when what it is made of has not changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use wasm_bindgen_cli_support::{Bindgen, EncodeInto};

use crate::imports;
use crate::names;
use crate::order;
use crate::parts::{self, Part};
use crate::step::{capture, cargo, npm, run, step};
use crate::system;

/// The target that the engine is compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// The WebAssembly features that rustc emits for [`TARGET`]. Never `--all-features`: that lets
/// wasm-opt use instructions which browsers refuse.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// How wasm-opt makes the engine small. What counts is its size after compression: functions that have one
/// caller stay apart unless they are tiny, because the numbers of a giant function's hundreds of variables do
/// not compress. The low kilobyte of memory is the far end of the stack, which is nowhere near.
/// The second `-Oz` finds what the first has made alike.
const SHRINK: [&str; 8] = [
    "--flatten",
    "--rereloop",
    "-Oz",
    "--converge",
    "--low-memory-unused",
    "--one-caller-inline-max-function-size",
    "20",
    "-Oz",
];

/// How functions get the order of their names, and the module loses the names of the tools that made it.
const ARRANGE: [&str; 2] = ["--reorder-functions-by-name", "--strip-producers"];

/// How the engine is made small. These are options of nightly compilers, which [`BOOTSTRAP`] lets a stable
/// one take: a panic is a trap without words, nothing prints source places or `Debug`, and SHA-256 is a loop.
const SMALL: [&str; 6] = [
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
    "-Zfmt-debug=none",
    "--cfg=sha2_backend_soft=\"compact\"",
    "--cfg=aes_backend_soft=\"compact\"",
];
/// The standard library is compiled along with the engine, for size and without what it does not use.
const SMALL_STD: [&str; 4] =
    ["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size"];
/// The variable that makes a stable compiler take the options of nightly ones.
const BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";

/// A WebAssembly module: how cargo calls it, and how its files are called in `www/pkg`.
struct Module {
    /// What it is, in messages.
    what: &'static str,
    /// Its library's file name, without `.wasm`.
    library: &'static str,
    name: &'static str,
    /// Parts that are cut off into files of their own.
    parts: &'static [Part],
}

/// The modules' packages, and what makes WebAssembly modules of them.
const PACKAGES: [&str; 10] = [
    "-p",
    "player-wasm",
    "-p",
    "player-transmux",
    "-p",
    "player-text",
    "-p",
    "player-crypto",
    "--features",
    "player-transmux/wasm,player-text/wasm,player-crypto/wasm",
];

/// The engine, and what only some streams load beside it.
const MODULES: [Module; 4] = [
    Module { what: "the engine", library: "player_wasm", name: "potluck", parts: &parts::ENGINE },
    Module { what: "the transmuxer", library: "player_transmux", name: "transmux", parts: &[] },
    Module { what: "the text reader", library: "player_text", name: "text", parts: &[] },
    Module { what: "decryption", library: "player_crypto", name: "crypto", parts: &[] },
];

/// The modules' names.
pub(crate) fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|module| module.name)
}

/// Builds everything a page needs into `www/dist`.
pub(crate) fn player(root: &Path) -> Result<(), String> {
    step("set up", || set_up(root))?;
    step("compile the engine to WebAssembly", || compile(root, &PACKAGES))?;
    step("bind and shrink the engine", || {
        MODULES.iter().try_for_each(|module| bind(root, module))
    })?;
    step("build the page's scripts", || scripts(root))
}

/// What a build needs beyond cargo: the wasm target, Node, and www's packages.
pub(crate) fn set_up(root: &Path) -> Result<(), String> {
    wasm_target(root)?;
    system::node()?;
    npm_ci(&root.join("www"))
}

/// Installs a package's dependencies as its lock file names them, unless that was done since.
pub(crate) fn npm_ci(folder: &Path) -> Result<(), String> {
    let lock = folder.join("package-lock.json");
    let Some(locked) = modified(&lock) else {
        return Err(format!("{} is missing: it is part of the project", lock.display()));
    };
    // npm writes this file at the end of each installation.
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_some_and(|installed| installed >= locked) {
        return Ok(());
    }
    run(
        npm(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]),
        "this downloads the packages that the lock file names: check the network and npm's registry setting",
    )
}

fn wasm_target(root: &Path) -> Result<(), String> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root).args(["--print", "target-libdir", "--target", TARGET]);
    let folder = capture(&mut rustc, "install Rust with rustup: https://rustup.rs")?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(root).args(["target", "add", TARGET]);
    run(
        &mut rustup,
        "the standard library for wasm32-unknown-unknown is missing: install it by rustup, or from your distribution",
    )
}

/// Where cargo leaves a module before it is bound.
fn compiled(root: &Path, module: &Module) -> PathBuf {
    target_folder(root).join(TARGET).join("wasm").join(module.library).with_extension("wasm")
}

/// Cargo's target folder: this program lies in its `debug`.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    let found = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    found.map_or_else(|| root.join("target"), Path::to_owned)
}

/// Compiles a package without bindings as the engine is compiled; its module.
pub(crate) fn bare(root: &Path, package: &str) -> Result<PathBuf, String> {
    compile(root, &["-p", package])?;
    let library = package.replace('-', "_");
    let compiled =
        target_folder(root).join(TARGET).join("wasm").join(&library).with_extension("wasm");
    let output = target_folder(root).join("xtask").join(library).with_extension("wasm");
    shrink(root, &compiled, &output)?;
    Ok(output)
}

fn compile(root: &Path, packages: &[&str]) -> Result<(), String> {
    let mut command = cargo(root);
    command.arg("build").args(packages);
    command.args(["--target", TARGET, "--profile", "wasm"]);
    let mut flags: Vec<String> = Vec::new();
    // Panic messages name source files: without the builder's home in them the module is
    // the same wherever it is built.
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    match smaller(root) {
        Ok(()) => {
            command.env(BOOTSTRAP, "1").args(SMALL_STD);
            flags.extend(SMALL.map(str::to_owned));
        }
        Err(reason) => {
            println!("    the engine will be a quarter larger than it could be: {reason}");
        }
    }
    // A list of TOML strings, which quotes as Rust does.
    command.arg("--config").arg(format!("target.{TARGET}.rustflags={flags:?}"));
    run(&mut command, "the compiler's messages above say why")
}

/// Whether the engine can be compiled with [`SMALL`]: if the compiler knows the options, and the standard
/// library's source is there or can be fetched.
fn smaller(root: &Path) -> Result<(), String> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root).env(BOOTSTRAP, "1").args(SMALL);
    rustc.args(["--print", "sysroot", "--target", TARGET]);
    let folder = capture(&mut rustc, "")
        .map_err(|_| "this compiler does not know the options for it: update Rust".to_owned())?;
    if Path::new(folder.trim()).join("lib/rustlib/src/rust/library/std").is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(root).args(["component", "add", "rust-src"]);
    run(&mut rustup, "").map_err(|_| {
        "the standard library's source is missing: rustup component add rust-src".to_owned()
    })
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

fn bind(root: &Path, module: &Module) -> Result<(), String> {
    let input = compiled(root, module);
    let folder = root.join("www/pkg");
    let wasm = format!("{}_bg.wasm", module.name);
    let output = folder.join(&wasm);
    // This program is a source too: its options decide what comes out.
    let sources = [Some(input.clone()), std::env::current_exe().ok()];
    let newest = sources.iter().flatten().filter_map(|path| modified(path)).max();
    // For `cargo xtask imports`.
    let list = folder.join(module.name).with_extension("imports");
    if newest.is_some() && modified(&output) >= newest && list.exists() {
        return Ok(());
    }

    let unbound = target_folder(root).join("xtask/pkg").join(module.name);
    // Nothing of an earlier build may be mistaken for this one's.
    if unbound.exists() {
        fs::remove_dir_all(&unbound).map_err(|error| cannot("remove", &unbound, &error))?;
    }
    for folder in [&unbound, &folder] {
        fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))?;
    }
    println!("    wasm-bindgen --target web, for {}", module.what);
    let failed = |error| {
        format!(
            "wasm-bindgen could not bind {}: {error:#}\n  \
             crate and bindgen must have one version: see wasm-bindgen in Cargo.toml",
            input.display()
        )
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&input).out_name(module.name).typescript(true).web(true).map_err(failed)?;
    // What the page does without: old browsers' text encoders, a default path, the tools' names.
    bindgen.encode_into(EncodeInto::Always);
    bindgen.omit_default_module_path(true).remove_producers_section(true);
    let mut bound = bindgen.generate_output().map_err(failed)?;
    let (script, imports) = names::shorten(&mut bound, module.name)?;
    let imports: String = imports.iter().map(|one| format!("{}\n", imports::plain(one))).collect();
    fs::write(&list, imports).map_err(|error| cannot("write", &list, &error))?;
    bound.emit(&unbound).map_err(failed)?;
    let glue = folder.join(module.name).with_extension("js");
    fs::write(&glue, script).map_err(|error| cannot("write", &glue, &error))?;
    let types = format!("{}.d.ts", module.name);
    let from = unbound.join(&types);
    fs::copy(&from, folder.join(&types)).map_err(|error| cannot("copy", &from, &error))?;
    let mut first = bound.wasm_mut().emit_wasm();
    for (number, part) in module.parts.iter().enumerate() {
        let second;
        (first, second) = part.cut_off(&first, number)?;
        let file = format!("{}_bg.wasm", part.name);
        let path = unbound.join(&file);
        fs::write(&path, second).map_err(|error| cannot("write", &path, &error))?;
        shrink(root, &path, &folder.join(&file))?;
    }
    let path = unbound.join(&wasm);
    fs::write(&path, first).map_err(|error| cannot("write", &path, &error))?;
    shrink(root, &path, &output)
}

fn shrink(root: &Path, input: &Path, output: &Path) -> Result<(), String> {
    let small = input.with_extension("small.wasm");
    wasm_opt(root, &SHRINK, input, &small)?;
    // Twice: the order changes the numbers of called functions, and so what looks alike.
    let named = input.with_extension("named.wasm");
    for to in [small.as_path(), output] {
        let unnamed = fs::read(&small).map_err(|error| cannot("read", &small, &error))?;
        fs::write(&named, order::name_by_likeness(&unnamed)?)
            .map_err(|error| cannot("write", &named, &error))?;
        wasm_opt(root, &ARRANGE, &named, to)?;
    }
    println!("    {} KB, after wasm-opt {} KB", kilobytes(input), kilobytes(output));
    Ok(())
}

fn wasm_opt(root: &Path, passes: &[&str], input: &Path, output: &Path) -> Result<(), String> {
    let mut command = Command::new("node");
    command
        .current_dir(root.join("www"))
        .arg("node_modules/binaryen/bin/wasm-opt")
        .args(passes)
        .args(FEATURES)
        .arg(input)
        .arg("-o")
        .arg(output);
    run(&mut command, "wasm-opt is in www's packages: delete www/node_modules and try again")
}

fn scripts(root: &Path) -> Result<(), String> {
    let www = root.join("www");
    let stamp = target_folder(root).join("xtask/www.stamp");
    let newest = newest_in(&www, &["node_modules", "dist", "types"]);
    let built = www.join("dist/potluck.js").exists();
    if built && newest.is_some() && modified(&stamp) >= newest {
        return Ok(());
    }
    // Dated before the build, so that a change made during it counts.
    let now = SystemTime::now();
    run(npm(&www).args(["run", "--silent", "build"]), "the messages above say why")?;
    if let Some(folder) = stamp.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))?;
    }
    File::create(&stamp)
        .and_then(|file| file.set_modified(now))
        .map_err(|error| cannot("write", &stamp, &error))
}

/// When anything below a folder last changed. Folders count too: a deleted file changes its folder.
fn newest_in(folder: &Path, except: &[&str]) -> Option<SystemTime> {
    let mut newest = None;
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| except.iter().any(|except| name == *except)) {
            continue;
        }
        newest = newest.max(modified(&path));
        if path.is_dir() {
            newest = newest.max(newest_in(&path, &[]));
        }
    }
    newest
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn kilobytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len().div_ceil(1000))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("could not {what} {}: {error}", path.display())
}
