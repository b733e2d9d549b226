//! The embedded sample: one minute of film in three renditions, made by `cargo xtask sample`.

/// Each file's name below `demo/sample`, with `/`, and its bytes; sorted by name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/sample.rs"));

/// A file of the sample.
pub(crate) fn file(name: &str) -> Option<&'static [u8]> {
    let index = FILES.binary_search_by_key(&name, |file| file.0).ok()?;
    Some(FILES[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_whole_and_light() {
        let master = std::str::from_utf8(file("master.m3u8").unwrap()).unwrap();
        for rendition in ["720p", "480p", "240p"] {
            assert!(master.contains(&format!("{rendition}/index.m3u8")));
            for name in ["index.m3u8", "init.mp4", "000.m4s", "015.m4s"] {
                assert!(file(&format!("{rendition}/{name}")).is_some(), "{rendition}/{name}");
            }
        }
        assert!(FILES.iter().map(|file| file.1.len()).sum::<usize>() <= 6_000_000);
        assert_eq!(file("nothing"), None);
    }
}
