//! Boxes and units, written by the book.

#![allow(dead_code, reason = "each test uses some")]

/// A box.
pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn full(kind: &[u8; 4], version: u8, flags: u32, body: &[u8]) -> Vec<u8> {
    let mut head = flags.to_be_bytes();
    head[0] = version;
    boxed(kind, &[&head[..], body].concat())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// An init section with one track, number 1 with 90 ticks a second, of this sample entry.
pub(crate) fn init(codec: &[u8; 4]) -> Vec<u8> {
    let inside = if codec == b"avc1" {
        [vec![0; 78], boxed(b"avcC", &[1, 66, 0, 30, 0xff, 0xe0, 0])].concat()
    } else {
        vec![0; 8]
    };
    let entry = boxed(codec, &inside);
    let table = boxed(b"stbl", &full(b"stsd", 0, 0, &[&words(&[1])[..], &entry].concat()));
    let media = boxed(
        b"mdia",
        &[full(b"mdhd", 0, 0, &words(&[0, 0, 90, 0, 0])), boxed(b"minf", &table)].concat(),
    );
    let track = boxed(b"trak", &[full(b"tkhd", 0, 0, &words(&[0, 0, 1, 0, 0])), media].concat());
    let extends = boxed(b"mvex", &full(b"trex", 0, 0, &words(&[1, 1, 3, 0, 0])));
    [boxed(b"ftyp", b"iso5\0\0\0\0"), boxed(b"moov", &[track, extends].concat())].concat()
}

/// A fragment that begins at tick `time`; samples are (composition offset, duration, data).
pub(crate) fn fragment(time: u32, samples: &[(i32, u32, Vec<u8>)]) -> Vec<u8> {
    let make = |offset: u32| {
        let mut run = words(&[samples.len() as u32, offset]);
        for (shift, duration, data) in samples {
            run.extend(words(&[*duration, data.len() as u32, *shift as u32]));
        }
        let group = [
            full(b"tfhd", 0, 0x2_0000, &words(&[1])),
            full(b"tfdt", 0, 0, &words(&[time])),
            full(b"trun", 1, 0x1 | 0x100 | 0x200 | 0x800, &run),
        ];
        boxed(
            b"moof",
            &[full(b"mfhd", 0, 0, &words(&[1])), boxed(b"traf", &group.concat())].concat(),
        )
    };
    let size = make(0).len() as u32;
    let data: Vec<u8> = samples.iter().flat_map(|(_, _, data)| data.clone()).collect();
    [make(size + 8), boxed(b"mdat", &data)].concat()
}

/// A sample of H.264 with nothing but captions.
pub(crate) fn picture(triplets: &[[u8; 3]]) -> Vec<u8> {
    let mut message = b"\xb5\x00\x31GA94\x03".to_vec();
    message.extend([0x40 | triplets.len() as u8, 0xff]);
    message.extend(triplets.iter().flatten());
    message.push(0xff);
    let unit = [&[6, 4, message.len() as u8][..], &message, &[0x80]].concat();
    // Escaped, as it has to be in a NAL unit.
    let mut escaped = Vec::new();
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && byte <= 3 {
            escaped.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        escaped.push(byte);
    }
    [&(escaped.len() as u32).to_be_bytes()[..], &escaped].concat()
}

/// An `emsg` box at tick 180 of 90 a second, of 45 ticks.
pub(crate) fn event(version: u8, scheme: &[u8], data: &[u8]) -> Vec<u8> {
    let names = [scheme, b"\0value\0"].concat();
    let body = if version == 1 {
        [&words(&[90, 0, 180, 45, 7])[..], &names, data].concat()
    } else {
        [&names[..], &words(&[90, 180, 45, 7]), data].concat()
    };
    full(b"emsg", version, 0, &body)
}
