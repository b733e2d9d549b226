//! A server on a port of its own, and a plain HTTP client to look at it from outside.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use demo::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A running server; it stops when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) task: tokio::task::JoinHandle<std::io::Result<()>>,
    www: PathBuf,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Options with pages in a folder of their own and faults allowed.
pub(crate) fn options(name: &str) -> Options {
    let www = std::env::temp_dir().join(format!("potluck-test-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&www).expect("a folder");
    std::fs::write(www.join("index.html"), "<h1>front</h1>").expect("a page");
    std::fs::write(www.join("embed.html"), "<h1>embed</h1>").expect("a page");
    std::fs::write(www.join("potluck.wasm"), b"\0asm").expect("a module");
    Options { www, faults: true, ..Options::default() }
}

pub(crate) async fn start(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let www = options.www.clone();
    let server = Server::open(options, |_| {}).await.expect("a server");
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(listener, async {
        let _ = stopped.await;
    }));
    Running { address, stop: Some(stop), task, www }
}

impl Running {
    /// Sends one request and reads until the connection ends. `None`: no response came.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        let _ = tokio::time::timeout(Duration::from_secs(30), read).await.expect("an end");
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head");
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Reply { status, headers, body: bytes[end + 4..].to_vec() })
    }

    pub(crate) async fn fetch(&self, path: &str) -> Reply {
        self.ask("GET", path, "", "").await.expect("a response")
    }

    pub(crate) async fn post(&self, path: &str, json: &str) -> Reply {
        let headers = "Content-Type: application/json\r\n";
        self.ask("POST", path, headers, json).await.expect("a response")
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.www);
    }
}
