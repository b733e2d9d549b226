//! `potluck`: the demo server.

mod commands;

use std::error::Error;
use std::io::{Write as _, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use demo::hashes::Signer;
use demo::http::Settings;
use demo::tracker::limits::Limits;
use demo::tracker::token::public_key;
use demo::{Options, Server};
use ed25519_compact::PublicKey;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Serves a page with Potluck's player, films and a live channel to play, and the tracker that
/// lets viewers find each other.
#[derive(Parser)]
#[command(name = "potluck", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<commands::Command>,
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Serve this too: a folder with HLS in it, or a film, which ffmpeg packages first.
    #[arg(long, value_name = "FILE_OR_DIR")]
    media: Option<PathBuf>,
    /// Send media at no more than this, all viewers together, in bits a second (6M, 800k).
    #[arg(long, value_name = "RATE", value_parser = rate)]
    origin_limit: Option<u64>,
    /// Folder of the built pages.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/dist"), hide_default_value = true)]
    www: PathBuf,
    /// Whether playlists say what their segments hash to, so that viewers can verify what they get of each other.
    #[arg(long, value_enum, default_value = "tags")]
    hashes: Hashes,
    /// Sign those hashes with the key in this file (see `potluck keygen`).
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    /// Connections to the tracker at once.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().sockets)]
    tracker_sockets: usize,
    /// Connections to the tracker from one address at once: many viewers may share one.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().sockets_per_address)]
    tracker_sockets_per_address: usize,
    /// Take viewers of pages of this origin only (https://site.example). May be repeated; any page when left out.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Take this swarm only, by its name (the `swarm` attribute). May be repeated; any swarm when left out.
    #[arg(long, value_name = "NAME")]
    only_swarm: Vec<String>,
    /// Take viewers only who show a swarm token that this public key's owner has signed (docs/swarm-tokens.md). May be
    /// repeated, while one key replaces another.
    #[arg(long, value_name = "KEY", value_parser = public_key, conflicts_with = "only_swarm")]
    swarm_key: Vec<PublicKey>,
    /// Believe the proxy in front, which adds to `X-Forwarded-For` whom it speaks for.
    #[arg(long)]
    behind_proxy: bool,
    /// Speak TLS, with this certificate and those that signed it, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Connections at once, beside those of the tracker.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().connections)]
    connections: usize,
    /// Connections from one address at once, beside those of the tracker. Behind a proxy they are not counted.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().connections_per_address)]
    connections_per_address: usize,
    /// Let pages of this origin only read media and the player's files (https://site.example). May be repeated; any page
    /// when left out. Never with credentials.
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// Let pages of this origin only show the player in an iframe (/embed). May be repeated; any page when left out.
    #[arg(long, value_name = "ORIGIN")]
    embed_on: Vec<String>,
    /// Let /embed play only what begins so: an origin, or an address with its path (https://site.example/films/). May be
    /// repeated; anything when left out.
    #[arg(long, value_name = "URL")]
    embed_src: Vec<String>,
    /// Let tests break the origin and the tracker through /api/faults and /api/tracker.
    #[arg(long)]
    faults: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Hashes {
    /// A tag for each segment.
    Tags,
    /// Nothing: what viewers get of each other is only checked at random.
    None,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // It would write down the address of each viewer.
    let filter = match "axum::serve=info".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).init();
    let mut arguments = Arguments::parse();
    let done = match arguments.command.take() {
        Some(command) => command.run(),
        None => run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "potluck: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Before the media: a port that is taken should not be found out after minutes of packaging.
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let port = listener.local_addr()?.port();
    let signer = arguments.sign.as_deref().map(Signer::read).transpose()?;
    let public_key = signer.as_ref().map(Signer::public_key);
    let secure = arguments.tls_cert.is_some();
    let built = arguments.www.join("index.html").is_file();
    let options = Options {
        media: arguments.media,
        origin_limit_bps: arguments.origin_limit,
        www: arguments.www,
        hashes: arguments.hashes == Hashes::Tags,
        signer,
        tracker: Limits {
            sockets: arguments.tracker_sockets,
            sockets_per_address: arguments.tracker_sockets_per_address,
            origins: arguments.allow_origin,
            only_swarms: arguments.only_swarm,
            swarm_keys: arguments.swarm_key,
            behind_proxy: arguments.behind_proxy,
            ..Limits::default()
        },
        http: Settings {
            connections: arguments.connections,
            connections_per_address: arguments.connections_per_address,
            behind_proxy: arguments.behind_proxy,
            tls: arguments.tls_cert.zip(arguments.tls_key),
            cors_origins: arguments.cors_origin,
            embed_on: arguments.embed_on,
            embed_src: arguments.embed_src,
            ..Settings::default()
        },
        faults: arguments.faults,
    };
    let server = Server::open(options, |line| {
        let _ = writeln!(stdout(), "{line}");
    })
    .await?;
    let mut out = stdout().lock();
    let host = format!("localhost:{port}");
    let s = if secure { "s" } else { "" };
    writeln!(out, "Potluck is served on http{s}://{host}")?;
    writeln!(out)?;
    writeln!(out, "  player   http{s}://{host}/")?;
    for title in server.titles() {
        let kind = if title.live { "live" } else { "film" };
        writeln!(out, "  {kind}     http{s}://{host}{}   {}", title.src, title.title)?;
    }
    writeln!(out, "  tracker  ws{s}://{host}/announce")?;
    if let Some(key) = public_key {
        writeln!(out, "  signed   publisher-key=\"{key}\"")?;
    }
    writeln!(out)?;
    if !built {
        writeln!(out, "The pages are not built yet: run `cargo xtask build` in another terminal.")?;
    }
    writeln!(out, "Open the player in two windows and watch one feed the other. Ctrl-C stops.")?;
    out.flush()?;
    drop(out);
    server.serve(listener, asked_to_stop()).await?;
    Ok(())
}

/// Ready when somebody presses ctrl-c or asks the process to end.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Bits a second, with an optional `k`, `M` or `G`.
fn rate(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(['k', 'K', 'M', 'G']);
    let factor = match &text[number.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return Err("want a number of bits a second, such as 6M or 800k".to_owned()),
    };
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() && value * factor >= 8.0 => Ok((value * factor) as u64),
        _ => Err("want a number of bits a second, such as 6M or 800k".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("6M"), Ok(6_000_000));
        assert_eq!(rate("1.5M"), Ok(1_500_000));
        assert_eq!(rate("800k"), Ok(800_000));
        assert_eq!(rate("64000"), Ok(64_000));
        for text in ["", "M", "6MM", "-1M", "0", "nan", "inf", "6 M", "6x"] {
            assert!(rate(text).is_err(), "{text:?}");
        }
    }
}
