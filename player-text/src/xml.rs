//! As much of XML as TTML needs. Entities of a document's own are not expanded, so it cannot grow by them.

use crate::number::split_at;

/// A piece of a document.
#[derive(Debug, PartialEq)]
pub(crate) enum Node<'a> {
    /// A start tag; `closed` when it is an end tag too.
    Start { name: &'a str, attributes: Vec<(&'a str, String)>, closed: bool },
    /// An end tag.
    End,
    /// Characters.
    Text(String),
}

/// Most attributes that are read of a tag.
const MAX_ATTRIBUTES: usize = 64;

/// Reads a document piece by piece; what is not well formed ends it.
pub(crate) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            let rest = self.rest;
            if rest.is_empty() {
                return None;
            }
            let Some(tag) = rest.strip_prefix('<') else {
                let end = rest.find('<').unwrap_or(rest.len());
                self.rest = &rest[end..];
                return Some(Node::Text(unescape(&rest[..end])));
            };
            if let Some(text) = tag.strip_prefix("![CDATA[") {
                let (text, after) = split_at(text, "]]>")?;
                self.rest = after;
                return Some(Node::Text(text.to_owned()));
            }
            if let Some(comment) = tag.strip_prefix("!--") {
                self.rest = split_at(comment, "-->")?.1;
                continue;
            }
            if tag.starts_with(['?', '!']) {
                self.rest = skip_declaration(tag)?;
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                self.rest = name.split_once('>')?.1;
                return Some(Node::End);
            }
            return self.start(tag);
        }
    }
}

impl<'a> Reader<'a> {
    fn start(&mut self, tag: &'a str) -> Option<Node<'a>> {
        let end = tag.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')?;
        let name = local(&tag[..end]);
        let mut rest = tag[end..].trim_ascii_start();
        let mut attributes = Vec::new();
        loop {
            if let Some(after) = rest.strip_prefix('>') {
                self.rest = after;
                return Some(Node::Start { name, attributes, closed: false });
            }
            if let Some(after) = rest.strip_prefix("/>") {
                self.rest = after;
                return Some(Node::Start { name, attributes, closed: true });
            }
            let (key, after) = rest.split_once('=')?;
            let after = after.trim_ascii_start();
            let quote = after.chars().next().filter(|c| *c == '"' || *c == '\'')?;
            let (value, after) = after[1..].split_once(quote)?;
            if attributes.len() < MAX_ATTRIBUTES {
                attributes.push((local(key.trim_ascii_end()), unescape(value)));
            }
            rest = after.trim_ascii_start();
        }
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// Behind `<?…?>` or `<!DOCTYPE …>`, with what it has in brackets.
fn skip_declaration(text: &str) -> Option<&str> {
    let end = text.find(['>', '['])?;
    if text[end..].starts_with('>') {
        return Some(&text[end + 1..]);
    }
    let (_, after) = text[end..].split_once(']')?;
    Some(after.split_once('>')?.1)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        // No entity that is known is longer than this.
        let end = after.bytes().take(10).position(|byte| byte == b';');
        let character = end.and_then(|end| entity(&after[..end]));
        match (character, end) {
            (Some(character), Some(end)) => {
                out.push(character);
                rest = &after[end + 1..];
            }
            _ => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|character| *character != '\0')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_attributes_and_characters_are_taken_apart() {
        let text = "<?xml version='1.0'?><!DOCTYPE tt [<!ENTITY a \"b\">]><!-- <p> --><tt:p xml:id = \"1&amp;2\" a='>'>x &#228;&lt;&a;<br/><![CDATA[<y>]]></tt:p>";
        let nodes: Vec<_> = Reader::new(text).collect();
        assert_eq!(
            nodes,
            [
                Node::Start {
                    name: "p",
                    attributes: vec![("id", "1&2".into()), ("a", ">".into())],
                    closed: false
                },
                Node::Text("x ä<&a;".into()),
                Node::Start { name: "br", attributes: vec![], closed: true },
                Node::Text("<y>".into()),
                Node::End,
            ]
        );
    }

    #[test]
    fn what_is_cut_off_ends_the_document() {
        for text in
            ["<p", "<p a", "<p a=", "<p a=\"", "<!--", "<![CDATA[", "<?", "<!DOCTYPE [", "</p"]
        {
            assert_eq!(Reader::new(text).next(), None, "{text}");
        }
    }
}
