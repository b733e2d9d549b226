//! `aquatic PORT`: aquatic_ws on a port of loopback, without TLS, as it comes: one socket worker and one swarm worker,
//! which its documentation advises for machines of few cores.

use std::net::{Ipv4Addr, SocketAddr};

fn main() {
    let port = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("a port");
    let mut config = aquatic_ws::config::Config::default();
    config.network.address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if let Err(error) = aquatic_ws::run(config) {
        eprintln!("{error:?}");
        std::process::exit(1);
    }
}
