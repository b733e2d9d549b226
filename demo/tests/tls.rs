//! The server over TLS, with a certificate made for the test.

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{Running, options, start};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// A server with a certificate for `localhost`, and a client who trusts it.
async fn secure(name: &str) -> (Running, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let mut options = options(name);
    let file = |name: &str, text: String| -> PathBuf {
        let path = options.www.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let pair =
        (file("cert.pem", made.cert.pem()), file("key.pem", made.signing_key.serialize_pem()));
    options.http.tls = Some(pair);
    options.http.head = Duration::from_secs(2);
    (start(options).await, trusting(made.cert.der()))
}

fn trusting(certificate: &CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(server: &Running, client: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address).await?;
    client.connect("localhost".try_into().expect("a name"), stream).await
}

async fn fetch(server: &Running, client: &TlsConnector, path: &str) -> String {
    let mut stream = connect(server, client).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer with a proper end");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn pages_media_and_the_tracker_come_over_tls() {
    let (server, client) = secure("tls").await;
    assert!(fetch(&server, &client, "/").await.ends_with("<h1>front</h1>"));
    let playlist = fetch(&server, &client, "/media/sample/master.m3u8").await;
    assert!(playlist.starts_with("HTTP/1.1 200") && playlist.contains("#EXTM3U"), "{playlist}");
    // What is said about a page leads to where it was read.
    let card = fetch(&server, &client, "/services/oembed?url=https://localhost/").await;
    assert!(
        card.contains("https://localhost/embed?") && card.contains("wss%3A%2F%2Flocalhost"),
        "{card}"
    );
    let stream = connect(&server, &client).await.expect("TLS");
    let (mut socket, _) = client_async("wss://localhost/announce", stream).await.expect("a socket");
    let announce = r#"{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"bbbbbbbbbbbbbbbbbbbb","numwant":0,"offers":[],"left":1,"event":"started"}"#;
    socket.send(Message::text(announce)).await.expect("an announce");
    let answer = async {
        loop {
            // A ping may come before it.
            let message = socket.next().await.expect("an answer").expect("no error");
            if message.is_text() {
                return message.to_string();
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.expect("in time");
    assert!(answer.contains("\"interval\""), "{answer}");
}

#[tokio::test]
async fn who_does_not_speak_tls_is_ended_and_hears_nothing() {
    let (server, client) = secure("no-tls").await;
    for hello in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(hello.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        let _ = tokio::time::timeout(Duration::from_secs(30), read).await.expect("an end");
        assert!(!bytes.starts_with(b"HTTP"), "{hello:?}: {}", String::from_utf8_lossy(&bytes));
    }
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let wary = trusting(stranger.cert.der());
    assert!(connect(&server, &wary).await.is_err(), "it is the certificate of the file");
    assert!(fetch(&server, &client, "/").await.starts_with("HTTP/1.1 200"), "it goes on");
}

#[tokio::test]
async fn files_that_are_no_certificate_and_no_key_are_named() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let options = options("bad-tls");
    let (certificate, key) = (options.www.join("cert.pem"), options.www.join("key.pem"));
    for (first, second, wanted) in [
        (String::new(), made.signing_key.serialize_pem(), "cert.pem holds no certificate"),
        (made.cert.pem(), "key".to_owned(), "cannot read"),
        (
            made.cert.pem(),
            other.signing_key.serialize_pem(),
            "cannot use the certificate and the key",
        ),
    ] {
        std::fs::write(&certificate, first).unwrap();
        std::fs::write(&key, second).unwrap();
        let mut options = options.clone();
        options.http.tls = Some((certificate.clone(), key.clone()));
        let error = demo::Server::open(options, |_| {}).await.err().expect("an error").to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let mut missing = options.clone();
    missing.http.tls = Some((options.www.join("nothing.pem"), key));
    let error = demo::Server::open(missing, |_| {}).await.err().expect("an error").to_string();
    assert!(error.contains("nothing.pem"), "{error}");
    let _ = std::fs::remove_dir_all(options.www);
}
