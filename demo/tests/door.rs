//! The server against clients who mean no good, over real sockets.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Reply, Running, options, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const SEGMENT: &str = "/media/sample/240p/003.m4s";
/// Within this time a machine with much to do ends what it has to end.
const SOON: Duration = Duration::from_secs(30);

/// Options with a film in a folder of its own, and a secret beside it.
fn with_media(name: &str) -> demo::Options {
    let mut options = options(name);
    let film = options.www.join("film");
    std::fs::create_dir_all(film.join("v")).unwrap();
    std::fs::write(film.join("index.m3u8"), "#EXTM3U\n").unwrap();
    std::fs::write(film.join("v/0.ts"), "segment").unwrap();
    std::fs::write(film.join(".hidden"), "secret").unwrap();
    std::fs::create_dir_all(options.www.join("private")).unwrap();
    std::fs::write(options.www.join("private/secret.ts"), "secret").unwrap();
    options.media = Some(film);
    options
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.expect("a connection")
}

/// What comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("an end");
    bytes
}

/// The status of the answer to these bytes; 0 when the connection ended without one.
async fn status_of(server: &Running, bytes: &[u8]) -> u16 {
    let mut stream = connect(server).await;
    // It may be refused before it was heard to its end.
    let _ = stream.write_all(bytes).await;
    let answer = rest(&mut stream).await;
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_the_folder() {
    let server = start(with_media("spellings")).await;
    assert_eq!(server.fetch("/media/title/v/0.ts").await.text(), "segment");
    assert_eq!(server.fetch("/media/title/%76/0.ts").await.text(), "segment", "a plain escape");
    for path in [
        "/media/title/../private/secret.ts",
        "/media/title/%2e%2e/private/secret.ts",
        "/media/title/%2E%2E%2Fprivate%2Fsecret.ts",
        "/media/title/%252e%252e/private/secret.ts",
        "/media/title/%252e%252e%252fprivate%252fsecret.ts",
        "/media/title/v/..%5c..%5cprivate%5csecret.ts",
        "/media/title/v\\..\\..\\private\\secret.ts",
        "/media/title/..;/private/secret.ts",
        "/media/title/%c0%ae%c0%ae/private/secret.ts",
        "/media/title/v/0.ts%00.m3u8",
        "/media/title/v%00/0.ts",
        "/media/title/./v/0.ts",
        "/media/title//v/0.ts",
        "/media/title/.hidden",
        "/media/title/%2ehidden",
        "/media/title/v",
        "/media/title/v/",
        "/media/title/",
        "/media/%2e%2e/index.html",
        "/film/../private/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/%252e%252e%252f%252e%252e%252fetc%252fpasswd",
        "/C:/Windows/win.ini",
        "/film/",
        "/media/sample/%2e%2e/sample/master.m3u8",
    ] {
        let reply = server.fetch(path).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("secret") && !reply.text().contains("root:"), "{path}");
    }
    // Bytes that no URL has.
    for path in [b"/media/title/v/0.ts\0.m3u8".as_slice(), b"/media/title/\xff\xfe"] {
        let request =
            [b"GET ", path, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
        let status = status_of(&server, &request).await;
        assert!(matches!(status, 400 | 404), "{path:?}: {status}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn no_symbolic_link_leads_out_of_the_folder() {
    use std::os::unix::fs::symlink;
    let options = with_media("links");
    let (www, film) = (options.www.clone(), options.media.clone().unwrap());
    let link = |to: &Path, at: &Path| symlink(to, at).unwrap();
    link(&www.join("private/secret.ts"), &film.join("stolen.ts"));
    link(Path::new("../private/secret.ts"), &film.join("relative.ts"));
    link(&www.join("private"), &film.join("folder"));
    link(Path::new("/"), &film.join("root"));
    link(&film.join("stolen.ts"), &film.join("twice.ts"));
    link(&film.join("loop"), &film.join("loop"));
    link(Path::new("v/0.ts"), &film.join("fine.ts"));
    link(Path::new("v"), &film.join("fine"));
    link(Path::new("/etc/hostname"), &www.join("hostname.txt"));
    // A folder that has a name in common with another is not in it.
    std::fs::create_dir_all(www.join("film-private")).unwrap();
    std::fs::write(www.join("film-private/secret.ts"), "secret").unwrap();
    link(&www.join("film-private/secret.ts"), &film.join("sibling.ts"));
    let server = start(options).await;
    for path in [
        "stolen.ts",
        "relative.ts",
        "folder/secret.ts",
        "root/etc/hostname",
        "twice.ts",
        "loop",
        "sibling.ts",
    ] {
        let reply = server.fetch(&format!("/media/title/{path}")).await;
        assert_eq!((reply.status, reply.text()), (404, String::new()), "{path}");
    }
    assert_eq!(server.fetch("/hostname.txt").await.status, 404);
    for path in ["fine.ts", "fine/0.ts"] {
        assert_eq!(server.fetch(&format!("/media/title/{path}")).await.text(), "segment", "{path}");
    }
}

#[tokio::test]
async fn ranges_give_no_more_than_the_file_however_they_are_put() {
    let server = start(options("range-abuse")).await;
    let whole = server.fetch(SEGMENT).await.body;
    let many = |range: &str| format!("bytes={}", vec![range; 2_000].join(","));
    let len = whole.len() as u64;
    for (range, status, length) in [
        // Several ranges at once are not served: the whole is, once.
        (many("0-"), 200, len),
        (many("0-0"), 200, len),
        ("bytes=0-99,50-149,0-".to_owned(), 200, len),
        ("bytes=0-18446744073709551615".to_owned(), 206, len),
        ("bytes=0-99999999999999999999999999".to_owned(), 206, len),
        ("bytes=-18446744073709551616".to_owned(), 206, len),
        ("bytes=-1".to_owned(), 206, 1),
        ("bytes=18446744073709551615-".to_owned(), 416, 0),
        ("bytes=18446744073709551616-18446744073709551617".to_owned(), 416, 0),
        ("bytes=-0".to_owned(), 416, 0),
        ("bytes=5-4".to_owned(), 200, len),
        ("bytes=-9223372036854775808-".to_owned(), 200, len),
        ("bytes = 0-1".to_owned(), 200, len),
        ("lines=0-1".to_owned(), 200, len),
    ] {
        let short: String = range.chars().take(40).collect();
        let reply = server.ask("GET", SEGMENT, &format!("Range: {range}\r\n"), "").await.unwrap();
        assert_eq!((reply.status, reply.body.len() as u64), (status, length), "{short}");
    }
    // The first of two headers counts, and for no other method than GET does any.
    let two = "Range: bytes=0-0\r\nRange: bytes=1-2\r\n";
    assert_eq!(server.ask("GET", SEGMENT, two, "").await.unwrap().body, whole[..1]);
    let head = server.ask("HEAD", SEGMENT, "Range: bytes=0-0\r\n", "").await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some(&*len.to_string())));
}

#[tokio::test]
async fn heads_are_bounded() {
    let mut options = options("heads");
    options.http.head = Duration::from_secs(2);
    let server = start(options).await;
    let ask = async |head: String| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n");
        status_of(&server, request.as_bytes()).await
    };
    assert_eq!(ask(format!("X: {}\r\n", "x".repeat(8_000))).await, 200);
    assert_eq!(ask("X: x\r\n".repeat(50)).await, 200);
    assert_eq!(ask(format!("X: {}\r\n", "x".repeat(1 << 20))).await, 431);
    assert_eq!(ask("X: x\r\n".repeat(200)).await, 431);
    assert_eq!(ask("X: x\r\n".repeat(100_000)).await, 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 20));
    assert!(matches!(status_of(&server, long.as_bytes()).await, 414 | 431));
    for nonsense in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\r\n\r\n",
    ] {
        let status = status_of(&server, nonsense.as_bytes()).await;
        assert!(matches!(status, 0 | 400), "{nonsense:?}: {status}");
    }
    assert_eq!(server.fetch("/").await.status, 200, "it goes on");
}

#[tokio::test]
async fn a_head_that_drips_in_and_an_idle_connection_are_ended() {
    let mut options = options("drip");
    options.http.head = Duration::from_secs(1);
    let server = start(options).await;
    let mut stream = connect(&server).await;
    let began = Instant::now();
    let dripped = timeout(SOON, async {
        stream.write_all(b"GET / HTTP/1.1\r\n").await?;
        loop {
            stream.write_all(b"X: x\r\n").await?;
            // What is sent to an ended connection fails from the second time on.
            sleep(Duration::from_millis(50)).await;
        }
        #[expect(unreachable_code, reason = "says of what type the block is")]
        Ok::<(), std::io::Error>(())
    });
    assert!(dripped.await.expect("an end").is_err());
    assert!(began.elapsed() >= Duration::from_secs(1));
    // The same for one who has had an answer, and asks for nothing more.
    let mut stream = connect(&server).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    // And for one who never says a word.
    assert!(rest(&mut connect(&server).await).await.len() < 200);
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_ended_and_one_who_does_is_not() {
    let mut options = with_media("slow-reader");
    let big = vec![7; 48 << 20];
    std::fs::write(options.media.clone().unwrap().join("big.ts"), &big).unwrap();
    options.http.patience = Duration::from_secs(2);
    options.http.slowest = 64 << 10;
    options.http.connections = 1;
    let server = start(options).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(server.address).await.unwrap();
    slow.write_all(b"GET /media/title/big.ts HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let drip = tokio::spawn(async move {
        let mut byte = [0];
        while slow.read_exact(&mut byte).await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    });
    // It takes the only place there is: whoever comes meanwhile is refused, and then is not.
    let began = Instant::now();
    let mut refused = false;
    loop {
        let mut stream = connect(&server).await;
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let answer = rest(&mut stream).await;
        if answer.starts_with(b"HTTP/1.1 200") {
            break;
        }
        refused = true;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503"));
        assert!(began.elapsed() < SOON, "the slow reader keeps its place");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(refused, "the slow reader had the place at first");
    drip.abort();
    let fast = server.fetch("/media/title/big.ts").await;
    assert_eq!(fast.body.len(), big.len());
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_sockets_of_the_tracker_are_not_among_them() {
    let mut options = options("crowd");
    options.http.connections_per_address = 3;
    let server = start(options).await;
    let url = format!("ws://{}/announce", server.address);
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(tokio_tungstenite::connect_async(&url).await.expect("a socket").0);
    }
    let mut idle = Vec::new();
    for _ in 0..3 {
        // One that was heard is one that is in.
        let mut stream = connect(&server).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(stream.read(&mut [0; 12]).await.unwrap(), 12);
        idle.push(stream);
    }
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(matches!(status_of(&server, request).await, 0 | 503));
    idle.pop();
    let began = Instant::now();
    while status_of(&server, request).await != 200 {
        assert!(began.elapsed() < SOON, "a place is given back");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let mut options = options("bodies");
    options.http.head = Duration::from_secs(1);
    let server = start(options).await;
    let large = format!("{{\"action\":\"{}\"}}", "x".repeat(200_000));
    assert_eq!(server.post("/api/faults", &large).await.status, 413);
    let slow = b"POST /api/faults HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
        Connection: close\r\n\r\n{";
    assert_eq!(status_of(&server, slow).await, 408);
    // A body where none belongs is not waited for.
    let stray =
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&server, stray).await, 200);
}

#[tokio::test]
async fn methods_that_nothing_is_for_are_refused() {
    let server = start(options("methods")).await;
    for (method, path) in [
        ("PUT", "/index.html"),
        ("DELETE", SEGMENT),
        ("PATCH", "/"),
        ("TRACE", "/"),
        ("PROPFIND", "/"),
        ("POST", "/"),
        ("POST", SEGMENT),
        ("POST", "/announce"),
        ("DELETE", "/announce"),
        ("PUT", "/api/faults"),
    ] {
        let reply = server.ask(method, path, "", "").await.unwrap();
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{method} {path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    let connect = b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(matches!(status_of(&server, connect).await, 400 | 405));
}

#[tokio::test]
async fn pages_say_what_they_may_do_and_who_may_show_them() {
    let mut options = options("headers");
    options.http.embed_on = vec!["https://blog.example".to_owned()];
    let inline = "<title>x</title><style>b{}</style>";
    std::fs::write(options.www.join("embed.html"), inline).unwrap();
    let server = start(options).await;
    let policy = |reply: &Reply| reply.header("content-security-policy").unwrap_or("").to_owned();
    let front = server.fetch("/").await;
    for part in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval';",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ] {
        assert!(policy(&front).contains(part), "{part}: {}", policy(&front));
    }
    assert_eq!(front.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
    assert!(front.header("permissions-policy").unwrap().contains("camera=()"));
    for path in ["/embed?src=x", "/embed.html"] {
        let embed = policy(&server.fetch(path).await);
        assert!(embed.ends_with("frame-ancestors 'self' https://blog.example"), "{embed}");
        assert!(embed.contains("'sha256-") && !embed.contains("unsafe-inline"), "{embed}");
    }
    for path in ["/", "/embed", "/potluck.wasm", SEGMENT, "/nothing", "/api/titles", "/announce"] {
        let reply = server.fetch(path).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("access-control-allow-credentials"), None, "{path}");
    }
    assert_eq!(policy(&server.fetch("/potluck.wasm").await), "", "a policy is for pages");
}

#[tokio::test]
async fn a_page_of_any_site_may_show_and_load_the_player_unless_told_otherwise() {
    let server = start(options("open")).await;
    let embed = server.fetch("/embed?src=x").await;
    let policy = embed.header("content-security-policy").unwrap();
    assert!(policy.ends_with("frame-ancestors *"), "{policy}");
    assert_eq!(embed.header("x-frame-options"), None);
    for path in ["/potluck.wasm", SEGMENT] {
        let reply = server.ask("GET", path, "Origin: https://blog.example\r\n", "").await.unwrap();
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(reply.header("cross-origin-resource-policy"), Some("cross-origin"), "{path}");
    }
}

#[tokio::test]
async fn only_pages_of_the_list_read_what_is_served_and_none_with_credentials() {
    let mut options = options("cors");
    options.http.cors_origins = vec!["https://site.example/".into(), "https://b.example".into()];
    let server = start(options).await;
    let from = async |method: &str, path: &str, origin: &str| {
        server.ask(method, path, &format!("Origin: {origin}\r\n"), "").await.unwrap()
    };
    for path in [SEGMENT, "/potluck.wasm", "/media/nothing"] {
        for method in ["GET", "OPTIONS"] {
            let reply = from(method, path, "https://site.example").await;
            let allowed = reply.header("access-control-allow-origin");
            assert_eq!(allowed, Some("https://site.example"), "{method} {path}");
            assert_eq!(reply.header("access-control-allow-credentials"), None);
            assert_eq!(reply.header("vary"), Some("Origin"));
            for origin in [
                "https://other.example",
                "null",
                "http://site.example",
                "https://site.example.evil",
            ] {
                let reply = from(method, path, origin).await;
                assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
                assert_eq!(reply.header("access-control-allow-methods"), None, "{origin}");
                assert_eq!(reply.header("vary"), Some("Origin"), "a cache must not mix them up");
            }
        }
    }
    // The API is for this server's own pages, whatever the list says.
    let api = from("GET", "/api/stats", "https://site.example").await;
    assert_eq!(api.header("access-control-allow-origin"), None);
    assert_eq!(api.header("cross-origin-resource-policy"), Some("same-origin"));
}

#[tokio::test]
async fn no_page_of_another_site_changes_anything() {
    let server = start(options("forgery")).await;
    server.fetch(SEGMENT).await;
    let own = format!("http://{}", server.address);
    let post = async |path: &str, origin: &str, body: &str| {
        let headers = format!("Origin: {origin}\r\nContent-Type: application/json\r\n");
        server.ask("POST", path, &headers, body).await.unwrap().status
    };
    for origin in ["https://evil.example", "null", "", "http://127.0.0.1:1", &format!("{own}.evil")]
    {
        assert_eq!(post("/api/stats/reset", origin, "").await, 403, "{origin:?}");
        assert_eq!(post("/api/tracker", origin, "{\"up\":false}").await, 403, "{origin:?}");
    }
    assert_eq!(server.fetch("/api/stats").await.json()["origin"]["mediaRequests"], 1);
    assert_eq!(post("/api/stats/reset", &own, "").await, 204);
    assert_eq!(server.fetch("/api/stats").await.json()["origin"]["mediaRequests"], 0);
}

#[tokio::test]
async fn the_iframes_page_is_told_what_it_may_play() {
    let mut options = options("embed-src");
    std::fs::write(options.www.join("embed.html"), "<title>Potluck</title>").unwrap();
    options.http.embed_src =
        vec!["https://site.example/films/?a=1&b=".into(), "https://b.example".into()];
    let server = start(options.clone()).await;
    let page = server.fetch("/embed").await.text();
    let wanted = "content=\"https://site.example/films/?a=1&amp;b= https://b.example\"";
    assert!(page.contains("<meta name=\"potluck-embed-src\"") && page.contains(wanted), "{page}");
    options.http.embed_src = vec!["\"><script>".into()];
    let error = demo::Server::open(options, |_| {}).await.err().expect("an error").to_string();
    assert!(error.contains("is no origin"), "{error}");
}
