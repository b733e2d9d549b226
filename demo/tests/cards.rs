//! What other sites read of this server's pages, as they ask for it.

mod common;

use common::{options, start};

#[tokio::test]
async fn a_page_says_where_its_card_is_and_the_card_shows_its_title() {
    let options = options("cards");
    std::fs::write(options.www.join("index.html"), "<head><!-- cards --></head>").expect("a page");
    let server = start(options).await;
    let base = format!("http://{}", server.address);
    for (path, name) in [("/", "A day at the lake"), ("/?title=live", "A day at the lake, live")] {
        let page = server.fetch(path).await.text();
        let link = page.split("application/json+oembed\" href=\"").nth(1).expect("discovery");
        let link = link.split('"').next().expect("a link").replace("&amp;", "&");
        let answer = server.fetch(link.strip_prefix(&base).expect("this server")).await;
        assert_eq!(answer.status, 200, "{link}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let card = answer.json();
        assert_eq!(card["version"], "1.0");
        assert_eq!(card["type"], "video");
        assert_eq!(card["title"], name);
        assert_eq!((&card["width"], &card["height"]), (&640.into(), &360.into()));
        assert_eq!(card["thumbnail_url"].as_str().map(|url| url.starts_with(&base)), Some(true));
        for wanted in ["og:title", "og:video", "og:image", "twitter:player", "twitter:image"] {
            assert!(page.contains(&format!("\"{wanted}\"")), "{wanted}: {page}");
        }
        // What the card embeds is there, and the picture too.
        let html = card["html"].as_str().expect("HTML");
        let src = html.split("src=\"").nth(1).and_then(|rest| rest.split('"').next());
        let src = src.expect("an iframe").replace("&amp;", "&");
        assert_eq!(server.fetch(src.strip_prefix(&base).expect("this server")).await.status, 200);
        let poster = card["thumbnail_url"].as_str().expect("a picture");
        let poster = server.fetch(poster.strip_prefix(&base).expect("this server")).await;
        assert_eq!(poster.header("content-type"), Some("image/jpeg"));
    }
}

#[tokio::test]
async fn an_embed_endpoint_answers_for_this_server_alone() {
    let server = start(options("oembed")).await;
    let base = format!("http://{}", server.address);
    let ask = async |query: &str| server.fetch(&format!("/services/oembed{query}")).await;
    assert_eq!(ask("").await.status, 400);
    assert_eq!(ask("?url=https://elsewhere.example/").await.status, 404);
    assert_eq!(ask(&format!("?url={base}/%3Ftitle%3Dnothing")).await.status, 404);
    assert_eq!(ask(&format!("?url={base}/&format=xml")).await.status, 501);
    let small = ask(&format!("?url={base}/&maxwidth=400&maxheight=180")).await.json();
    assert_eq!((&small["width"], &small["height"]), (&320.into(), &180.into()));
    assert!(small["html"].as_str().is_some_and(|html| html.contains("width=\"320\"")));
}
