//! Common Encryption in fragmented MP4 (ISO/IEC 23001-7).

use super::{Block, Encryptor};

/// Clear bytes of a slice, its length field and header among them.
const CLEAR_SLICE_HEAD: usize = 4 + 32;

/// The protection scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// AES-CTR, all of a slice's whole blocks; 8 bytes of vector for each sample.
    Cenc,
    /// AES-CBC, one block of ten of a slice; one vector for all samples.
    Cbcs,
}

/// Where vectors and subsamples are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auxiliary {
    /// In a `senc` box.
    Senc,
    /// At a place that `saiz` and `saio` tell.
    Saiz,
}

/// How to encrypt.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The protection scheme.
    pub scheme: Scheme,
    /// The key.
    pub key: Block,
    /// Its id.
    pub kid: Block,
    /// The vector of all samples for `cbcs`; of `cenc` the high half of the first's.
    pub iv: Block,
    /// How fragments tell.
    pub auxiliary: Auxiliary,
    /// From the middle of each fragment on, samples are of a group with this vector (`cbcs` only).
    pub second_iv: Option<Block>,
}

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(data[at..at + 4].try_into().expect("four bytes"))
}

/// Type, and the whole box.
fn boxes(data: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut out = Vec::new();
    let mut at = 0;
    while at + 8 <= data.len() {
        let size = u32_at(data, at) as usize;
        out.push((data[at + 4..at + 8].try_into().expect("four bytes"), &data[at..at + size]));
        at += size;
    }
    out
}

fn child<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    path.iter().fold(data, |data, kind| {
        let found = boxes(data).into_iter().find(|(found, _)| found == *kind);
        &found.unwrap_or_else(|| panic!("no {}", String::from_utf8_lossy(*kind))).1[8..]
    })
}

/// An init section for encrypted samples.
#[must_use]
pub fn encrypt_init(init: &[u8], plan: &Plan) -> Vec<u8> {
    let out = boxes(init).into_iter().map(|(kind, whole)| {
        let body = &whole[8..];
        match &kind {
            b"moov" => boxed(&kind, &[&encrypt_init(body, plan), &pssh(&plan.kid)]),
            b"trak" | b"mdia" | b"minf" | b"stbl" => boxed(&kind, &[&encrypt_init(body, plan)]),
            b"stsd" => boxed(&kind, &[&body[..8], &entry(&body[8..], plan)]),
            _ => whole.to_vec(),
        }
    });
    out.collect::<Vec<_>>().concat()
}

/// Names the key for any key system (W3C "cenc" Initialization Data Format §4).
fn pssh(kid: &Block) -> Vec<u8> {
    let system = 0x1077_efec_c0b2_4d02_ace3_3c1e_52e2_fb4b_u128.to_be_bytes();
    boxed(b"pssh", &[&[1, 0, 0, 0], &system, &1_u32.to_be_bytes(), kid, &[0; 4]])
}

fn entry(entry: &[u8], plan: &Plan) -> Vec<u8> {
    let (kind, whole) = boxes(entry)[0];
    let video = kind == *b"avc1";
    let scheme: &[u8] = if plan.scheme == Scheme::Cenc { b"cenc" } else { b"cbcs" };
    let schm = boxed(b"schm", &[&[0; 4], scheme, &[0, 1, 0, 0]]);
    let tenc = boxed(b"tenc", &[&[1, 0, 0, 0], &protection(plan, video, &plan.iv)]);
    let sinf = boxed(b"sinf", &[&boxed(b"frma", &[&kind]), &schm, &boxed(b"schi", &[&tenc])]);
    boxed(if video { b"encv" } else { b"enca" }, &[&whole[8..], &sinf])
}

/// What `tenc` and `seig` have in common.
fn protection(plan: &Plan, video: bool, iv: &Block) -> Vec<u8> {
    match plan.scheme {
        Scheme::Cenc => [&[0, 0, 1, 8], &plan.kid[..]].concat(),
        Scheme::Cbcs => {
            let pattern = if video { 0x19 } else { 0 };
            [&[0, pattern, 1, 0], &plan.kid[..], &[16], iv].concat()
        }
    }
}

/// A segment with encrypted samples; `init` is the clear init section.
#[must_use]
pub fn encrypt_segment(init: &[u8], segment: &[u8], plan: &Plan) -> Vec<u8> {
    let mut out = Vec::new();
    let mut pending: Option<&[u8]> = None;
    for (kind, whole) in boxes(segment) {
        match (&kind, pending) {
            (b"moof", _) => pending = Some(whole),
            (b"mdat", Some(moof)) => {
                let mut mdat = whole.to_vec();
                out.extend(encrypt_fragment(init, moof, &mut mdat, plan));
                out.extend(mdat);
                pending = None;
            }
            _ => out.extend(whole),
        }
    }
    out
}

fn is_video(init: &[u8], track: u32) -> bool {
    boxes(child(init, &[b"moov"])).iter().any(|(kind, trak)| {
        kind == b"trak"
            && u32_at(child(&trak[8..], &[b"tkhd"]), 12) == track
            && &child(&trak[8..], &[b"mdia", b"hdlr"])[8..12] == b"vide"
    })
}

/// Encrypts the samples in `mdat`, and returns the `moof` that tells of it.
fn encrypt_fragment(init: &[u8], moof: &[u8], mdat: &mut [u8], plan: &Plan) -> Vec<u8> {
    let aes = Encryptor::new(&plan.key);
    // The first pass finds how much longer the `moof` becomes.
    let mut growth = 0;
    let mut made = Vec::new();
    for pass in 0..2 {
        let mut children = Vec::new();
        let mut at = 8;
        for (kind, whole) in boxes(&moof[8..]) {
            let part = if kind == *b"traf" {
                let mut samples = mdat.to_vec();
                let part =
                    fragment(init, &whole[8..], moof.len(), &mut samples, plan, &aes, (growth, at));
                if pass == 1 {
                    mdat.copy_from_slice(&samples);
                }
                part
            } else {
                whole.to_vec()
            };
            at += part.len();
            children.push(part);
        }
        made = boxed(b"moof", &[&children.concat()]);
        growth = made.len() - moof.len();
    }
    made
}

fn fragment(
    init: &[u8],
    traf: &[u8],
    moof_length: usize,
    mdat: &mut [u8],
    plan: &Plan,
    aes: &Encryptor,
    (growth, at): (usize, usize),
) -> Vec<u8> {
    let tfhd = child(traf, &[b"tfhd"]);
    let flags = u32_at(tfhd, 0);
    let video = is_video(init, u32_at(tfhd, 4));
    let skipped = [0x1, 0x2, 0x8].iter().zip([8, 4, 4]);
    let size_at: usize =
        8 + skipped.filter(|(flag, _)| flags & **flag != 0).map(|(_, size)| size).sum::<usize>();
    let default_size = if flags & 0x10 == 0 { 0 } else { u32_at(tfhd, size_at) };
    let mut children: Vec<Vec<u8>> = Vec::new();
    let (mut infos, mut sizes) = (Vec::new(), Vec::new());
    let mut number = 0;
    for (kind, whole) in boxes(traf) {
        if kind != *b"trun" {
            children.push(whole.to_vec());
            continue;
        }
        let mut trun = whole.to_vec();
        let flags = u32_at(&trun, 8);
        assert_eq!(flags & 1, 1, "a trun has an offset");
        let offset = u32_at(&trun, 16) as usize;
        trun[16..20].copy_from_slice(&((offset + growth) as u32).to_be_bytes());
        let count = u32_at(&trun, 12) as usize;
        let mut place = offset - moof_length;
        let mut record = 20 + if flags & 4 == 0 { 0 } else { 4 };
        for nth in 0..count {
            let mut size = default_size;
            for flag in [0x100, 0x200, 0x400, 0x800] {
                if flags & flag != 0 {
                    size = if flag == 0x200 { u32_at(&trun, record) } else { size };
                    record += 4;
                }
            }
            let sample = &mut mdat[place..place + size as usize];
            place += size as usize;
            let second = plan.second_iv.filter(|_| nth >= count / 2);
            let info = encrypt_sample(aes, plan, video, number, &second.unwrap_or(plan.iv), sample);
            number += 1;
            sizes.push(info.len() as u8);
            infos.extend(info);
        }
        children.push(trun);
        if let Some(iv) = &plan.second_iv {
            let entry = protection(plan, video, iv);
            let count = |number: usize| (number as u32).to_be_bytes();
            children.push(boxed(
                b"sbgp",
                &[
                    &[0; 4],
                    b"seig",
                    &count(2),
                    &[count(sizes.len() / 2), count(0)].concat(),
                    &[count(sizes.len() - sizes.len() / 2), count(0x1_0001)].concat(),
                ],
            ));
            children.push(boxed(
                b"sgpd",
                &[&[1, 0, 0, 0], b"seig", &count(entry.len()), &count(1), &entry],
            ));
        }
    }
    let flags = [0, 0, 0, if video { 2 } else { 0 }];
    let before = at + 8 + children.iter().map(Vec::len).sum::<usize>();
    let kind = if plan.auxiliary == Auxiliary::Senc { b"senc" } else { b"free" };
    let count = (sizes.len() as u32).to_be_bytes();
    children.push(boxed(kind, &[&flags, &count, &infos]));
    if plan.auxiliary == Auxiliary::Saiz && !infos.is_empty() {
        children.push(boxed(b"saiz", &[&[0; 5], &count, &sizes]));
        let offset = (before as u32 + 16).to_be_bytes();
        children.push(boxed(b"saio", &[&[0; 4], &1_u32.to_be_bytes(), &offset]));
    }
    boxed(b"traf", &[&children.concat()])
}

/// Encrypts a sample; returns its vector and subsamples.
fn encrypt_sample(
    aes: &Encryptor,
    plan: &Plan,
    video: bool,
    number: u64,
    iv: &Block,
    sample: &mut [u8],
) -> Vec<u8> {
    let mut info = Vec::new();
    let mut iv = *iv;
    if plan.scheme == Scheme::Cenc {
        let own = u64::from_be_bytes(iv[..8].try_into().expect("eight bytes")).wrapping_add(number);
        iv = [own.to_be_bytes(), [0; 8]].concat().try_into().expect("sixteen bytes");
        info.extend(own.to_be_bytes());
    }
    let mut place = 0;
    if !video {
        protect(aes, plan.scheme, 0, &iv, &mut place, sample);
        return info;
    }
    let mut parts = Vec::new();
    let (mut at, mut clear) = (0, 0);
    while at + 4 <= sample.len() {
        let end = at + 4 + u32_at(sample, at) as usize;
        let slice = matches!(sample[at + 4] & 31, 1 | 5) && end - at > CLEAR_SLICE_HEAD + 16;
        let mut head = if slice { CLEAR_SLICE_HEAD } else { end - at };
        if slice && plan.scheme == Scheme::Cenc {
            head += (end - at - head) % 16;
        }
        clear += head;
        if slice {
            parts.push((clear as u16, (end - at - head) as u32));
            clear = 0;
            protect(aes, plan.scheme, 9, &iv, &mut place, &mut sample[at + head..end]);
        }
        at = end;
    }
    if clear > 0 {
        parts.push((clear as u16, 0));
    }
    info.extend((parts.len() as u16).to_be_bytes());
    for (clear, protected) in parts {
        info.extend(clear.to_be_bytes());
        info.extend(protected.to_be_bytes());
    }
    info
}

/// Encrypts the protected part of a subsample; for `cbcs` one block, then `skip` are clear.
fn protect(
    aes: &Encryptor,
    scheme: Scheme,
    skip: usize,
    iv: &Block,
    place: &mut usize,
    part: &mut [u8],
) {
    if scheme == Scheme::Cenc {
        return aes.ctr(iv, place, part);
    }
    let mut chain = *iv;
    for (nth, block) in part.chunks_exact_mut(16).enumerate() {
        if nth % (skip + 1) == 0 {
            aes.cbc(&mut chain, block);
        }
    }
}
