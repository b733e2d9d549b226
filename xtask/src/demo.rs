//! `cargo xtask demo`: build, then serve.

use std::path::Path;
use std::process::Command;

use crate::build;
use crate::step::{cargo, run, step};

/// Builds everything and runs the demo server with `args` until it is stopped.
pub(crate) fn run_server(root: &Path, args: &[String]) -> Result<(), String> {
    build::player(root)?;
    step("compile the server", || server(root))?;
    println!("\n==> serve (stop with Ctrl+C)");
    let program = build::target_folder(root).join("debug").join(exe("potluck"));
    serve(Command::new(&program).args(args).current_dir(root))
        .map_err(|error| format!("{} could not be started: {error}", program.display()))
}

/// Becomes the program, so that whoever stops this process stops that one.
#[cfg(unix)]
pub(crate) fn serve(command: &mut Command) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
pub(crate) fn serve(command: &mut Command) -> std::io::Result<()> {
    command.status().map(drop)
}

/// Compiles the demo server. The dev profile compiles its dependencies optimised and shares them
/// with the tests and with this program: a first start is minutes quicker than with `--release`.
pub(crate) fn server(root: &Path) -> Result<(), String> {
    run(cargo(root).args(["build", "-p", "demo"]), "the compiler's messages above say why")
}

fn exe(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
