//! Programs that come from the system: Node, the browsers, ffmpeg, coturn, WordPress.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{capture, run};

/// Lowest major version of Node that the build runs with.
const NODE: u32 = 20;

/// Here where systemd runs the machine.
const SYSTEMD: &str = "/run/systemd/system";

/// A program that the browser tests use: any of these names, and Debian's package.
struct Program {
    names: &'static [&'static str],
    package: &'static str,
    what: &'static str,
    /// Without it there are no browser tests; without another one test is skipped.
    needed: bool,
}

const PROGRAMS: [Program; 7] = [
    Program {
        names: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
        package: "chromium",
        what: "Chromium (or Google Chrome)",
        needed: true,
    },
    Program {
        names: &["firefox-esr", "firefox"],
        package: "firefox-esr",
        what: "Firefox",
        needed: true,
    },
    Program { names: &["ffmpeg"], package: "ffmpeg", what: "ffmpeg", needed: true },
    Program { names: &["turnserver"], package: "coturn", what: "coturn", needed: false },
    // A file that is looked for by its whole path.
    Program {
        names: &["/usr/share/wordpress/wp-load.php"],
        package: "wordpress wordpress-theme-twentytwentythree php-mysql",
        what: "WordPress",
        needed: false,
    },
    Program {
        names: &["mariadbd"],
        package: "mariadb-server-core",
        what: "MariaDB",
        needed: false,
    },
    Program { names: &["php"], package: "php-cli", what: "PHP", needed: false },
];

/// Makes sure that Node is there and new enough.
pub(crate) fn node() -> Result<(), String> {
    const WAY_OUT: &str = "install Node.js 20 or later, with npm: https://nodejs.org";
    let version = capture(Command::new("node").arg("--version"), WAY_OUT)?;
    match major(&version) {
        Some(major) if major >= NODE => Ok(()),
        _ => Err(format!("node is {}, too old\n  {WAY_OUT}", version.trim())),
    }
}

/// Makes sure that the browsers, ffmpeg, coturn and WordPress are there, from Debian's packages where that is possible.
pub(crate) fn browsers() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let mut installed = Ok(());
    if find("apt-get").is_some() && root_user() {
        let way_out = format!("install by hand: apt-get install {}", packages(&missing));
        installed = run(apt().arg("update"), &way_out);
        // What can be done without is asked for by itself: a package that this Debian does not have fails all that are asked for with it.
        for needed in [true, false] {
            let packages = packages(
                &self::missing().into_iter().filter(|one| one.needed == needed).collect::<Vec<_>>(),
            );
            // Some of these bring servers along, which systemd would start: whether a machine shall have them is its owner's to say.
            let starts = !needed && Path::new(SYSTEMD).is_dir();
            if packages.is_empty() || installed.is_err() || starts {
                continue;
            }
            let mut install = apt();
            install.args(["install", "-y", "--no-install-recommends"]);
            let outcome = run(install.args(packages.split(' ')), &way_out);
            if needed {
                installed = outcome;
            }
        }
    }
    let (needed, other): (Vec<&Program>, Vec<&Program>) =
        self::missing().into_iter().partition(|program| program.needed);
    if needed.is_empty() {
        for program in other {
            println!(
                "    {} is not there: what is tested with it is skipped (on Debian: apt-get install {})",
                program.what, program.package
            );
        }
        return Ok(());
    }
    installed?;
    let names: Vec<&str> = needed.iter().map(|program| program.what).collect();
    Err(format!(
        "the browser tests need {}, not found in PATH\n  on Debian: sudo apt-get install {}\n  \
         or leave the browsers out: cargo xtask test --quick",
        names.join(", "),
        packages(&needed)
    ))
}

fn packages(programs: &[&Program]) -> String {
    programs.iter().map(|program| program.package).collect::<Vec<_>>().join(" ")
}

fn missing() -> Vec<&'static Program> {
    PROGRAMS
        .iter()
        .filter(|program| program.names.iter().all(|name| find(name).is_none()))
        .collect()
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn root_user() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program in `PATH`.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).map(|folder| folder.join(&file)).find(|path| path.is_file())
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_as_node_prints_it() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20.1"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        assert!(find("cargo").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
