use super::*;

/// The vectors of the specification: `name | input | expected`, a line each.
fn vectors() -> Vec<[&'static str; 3]> {
    let text = include_str!("../../docs/hash-lists.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let [name, input, expected, ..] = cells[..] else { return None };
        let bare = |cell: &'static str| cell.trim_matches('`');
        Some([bare(name), bare(input), bare(expected)])
    });
    rows.collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    push_hexadecimal(&mut out, bytes);
    out
}

/// `N × BYTE` bytes, or bytes that count.
fn bytes(input: &str) -> Vec<u8> {
    if let Some(count) = input.strip_suffix(" counting") {
        let count: usize = count.parse().expect("a number");
        return (0..count).map(|at| (at % 251) as u8).collect();
    }
    let (count, byte) = input.split_once(" × ").expect("a count and a byte");
    vec![u8::from_str_radix(byte, 16).expect("a byte"); count.parse().expect("a number")]
}

#[test]
fn the_vectors_of_the_specification_hold() {
    let vectors = vectors();
    let of = |kind: &'static str| vectors.iter().filter(move |row| row[0] == kind);
    for [_, input, expected] in of("block") {
        assert_eq!(hex(&block_hash(&bytes(input))), *expected, "block {input}");
    }
    for [_, input, expected] in of("root") {
        let data = bytes(input);
        let blocks: Vec<Hash> = data.chunks(65_536).map(block_hash).collect();
        assert_eq!(hex(&root(&blocks)), *expected, "root {input}");
    }
    for [_, input, expected] in of("message") {
        let entry = Entry::read(input).expect("an entry");
        assert_eq!(entry.message().replace('\n', "⏎"), *expected);
    }
    assert_eq!((of("block").count(), of("root").count(), of("message").count()), (3, 6, 1));
}

/// The recursion as RFC 6962 §2.1 has it.
fn recursion(blocks: &[Hash]) -> Hash {
    if let [one] = blocks {
        return *one;
    }
    let mut split = 1;
    while split * 2 < blocks.len() {
        split *= 2;
    }
    let (left, right) = blocks.split_at(split);
    digest(&[&[1], &recursion(left), &recursion(right)])
}

#[test]
fn the_root_is_that_of_certificate_transparency() {
    for count in 1..70_u8 {
        let blocks: Vec<Hash> = (0..count).map(|number| block_hash(&[number])).collect();
        assert_eq!(root(&blocks), recursion(&blocks), "{count} blocks");
    }
}

#[test]
fn entries_are_read_as_publishers_write_them() {
    let root = "ab".repeat(32);
    let entry = Entry::read(&format!("ROOT=0x{root},SIZE=70000")).expect("an entry");
    assert_eq!((entry.proof, entry.size), (Proof::Root([0xab; 32]), Some(70_000)));
    let entry = Entry::read(&root).expect("an entry");
    assert_eq!((entry.proof, entry.size), (Proof::Whole([0xab; 32]), None));
    let signature = "0f".repeat(64);
    let text = format!(" ROOT=0x{root} , SIZE=5,NAME=\"a/b.m4s\",NEW=1,SIGNATURE=0x{signature}");
    let entry = Entry::read(&text).expect("an entry");
    assert_eq!(entry.signature, Some([0x0f; 64]));
    assert!(entry.names("https://cdn.example/x/a/b.m4s") && entry.names("a/b.m4s"));
    assert!(!entry.names("https://cdn.example/xa/b.m4s") && !entry.names("b.m4s"));
    for bad in [
        "",
        "ROOT",
        "ROOT=0xab,SIZE=1",
        "SIZE=1",
        &format!("ROOT=0x{root}"),
        &format!("ROOT=0x{root},SIZE=0"),
        &format!("ROOT=0x{root},SIZE=268435457"),
        &format!("ROOT={root},SIZE=1"),
        &format!("ROOT=0x{root},SIZE=1,SIGNATURE=0x00"),
        &"é".repeat(32),
    ] {
        assert_eq!(Entry::read(bad), None, "{bad}");
    }
}
