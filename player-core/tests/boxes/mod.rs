//! The least of fragmented MP4 that the core takes: one video track of 1,000 ticks a second.

pub(crate) fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

#[allow(dead_code, reason = "some streams have no init section")]
pub(crate) fn init() -> Vec<u8> {
    init_of(b"avc1", &[])
}

/// An init section whose sample entry has this type, with these boxes beside the codec's own.
#[allow(dead_code, reason = "some streams have no init section")]
pub(crate) fn init_of(entry: &[u8; 4], beside: &[u8]) -> Vec<u8> {
    let tkhd = boxed(b"tkhd", &[&[0; 12][..], &1u32.to_be_bytes()].concat());
    let mdhd = boxed(b"mdhd", &[&[0; 12][..], &1000u32.to_be_bytes()].concat());
    let hdlr = boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide");
    let codec = boxed(b"avcC", &[1, 0x64, 0, 0x1f]);
    let entry = boxed(entry, &[&[0; 78][..], &codec, beside].concat());
    let stsd = boxed(b"stsd", &[&[0; 8][..], &entry].concat());
    let mdia = [mdhd, hdlr, boxed(b"minf", &boxed(b"stbl", &stsd))].concat();
    boxed(b"moov", &boxed(b"trak", &[tkhd, boxed(b"mdia", &mdia)].concat()))
}

/// The head of a fragment that starts at this second of the stream's timeline.
pub(crate) fn moof(second: u32) -> Vec<u8> {
    let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
    let tfdt = boxed(b"tfdt", &[&[0; 4][..], &(second * 1000).to_be_bytes()].concat());
    boxed(b"moof", &boxed(b"traf", &[tfhd, tfdt].concat()))
}
