//! One step of a command: its heading, its time, and what to say when it fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Does `work` under a heading and says how long it took.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    println!("\n==> {title}");
    let start = Instant::now();
    let result = work();
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    println!("    {outcome} in {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// Runs a command to its end with its output on the terminal. `way_out` says what to do when it fails.
pub(crate) fn run(command: &mut Command, way_out: &str) -> Result<(), String> {
    let line = line(command);
    println!("    {line}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` ended with {status}\n  {way_out}")),
        Err(error) => Err(format!("`{line}` could not be started: {error}\n  {way_out}")),
    }
}

/// Runs a command and returns its standard output; its errors go to the terminal.
pub(crate) fn capture(command: &mut Command, way_out: &str) -> Result<String, String> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{line}` could not be started: {error}\n  {way_out}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` ended with {}\n  {way_out}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs this program, in the project's folder.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// npm in one of the project's packages.
pub(crate) fn npm(folder: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(folder);
    command
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        line.push(' ');
        if argument.contains(char::is_whitespace) {
            line.push_str(&format!("{argument:?}"));
        } else {
            line.push_str(&argument);
        }
    }
    if let Some(folder) = command.get_current_dir().and_then(Path::file_name) {
        line.push_str(&format!("   (in {})", folder.to_string_lossy()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_way_out() {
        let mut command = Command::new("no-such-program-anywhere");
        command.arg("--flag").arg("two words");
        let message = run(&mut command, "install it").unwrap_err();
        assert!(message.contains("no-such-program-anywhere --flag \"two words\""), "{message}");
        assert!(message.contains("install it"), "{message}");
    }
}
