//! Decryption, against vectors, against what openssl and ffmpeg encrypt, and against what ffmpeg decrypts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use player_crypto::{Cipher, CryptoError, decrypt};
use proptest::prelude::*;
use tests::encrypt::{Auxiliary, Block, Plan, Scheme, encrypt_init, encrypt_segment, encrypt_ts};

const KEY: Block = *b"0123456789abcdef";
const IV: Block = *b"fedcba9876543210";
const VIDEO: &str = "-f lavfi -i testsrc2=size=320x180:rate=24:duration=4 -c:v libx264 -preset veryfast -g 24 -bf 2 -pix_fmt yuv420p";
const BOTH: &str = "-f lavfi -i testsrc2=size=320x180:rate=24:duration=4 -f lavfi -i sine=frequency=500:duration=4 -c:v libx264 -preset veryfast -b:v 600k -g 24 -bf 2 -pix_fmt yuv420p -c:a aac";

const PLAN: Plan = Plan {
    scheme: Scheme::Cbcs,
    key: KEY,
    kid: *b"the id of a key.",
    iv: IV,
    auxiliary: Auxiliary::Senc,
    second_iv: None,
};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal")
    };
    digits.chunks(2).map(byte).collect()
}

fn as_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has(program: &str, option: &str) -> bool {
    let mut run = Command::new(program);
    let run = run.arg(option).stdout(Stdio::null()).stderr(Stdio::null());
    let found = run.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: {program} is not on the path");
    }
    found
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("encryption-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn ffmpeg(folder: &Path, words: &str) -> Vec<u8> {
    let run = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y", "-nostdin"])
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("ffmpeg runs");
    assert!(run.status.success(), "{words}: {}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

/// Checksums of the decoded frames.
fn frames(folder: &Path, input: &str) -> String {
    let sums = ffmpeg(folder, &format!("{input} -f framemd5 -"));
    let sums = String::from_utf8(sums).expect("text");
    // Times differ where an edit list is read and where it is not; pictures and sound do not.
    let sum = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        format!("{} {}", fields[0], fields[fields.len() - 1])
    };
    let lines: Vec<String> = sums.lines().filter(|line| !line.starts_with('#')).map(sum).collect();
    assert!(lines.len() > 90, "there are frames: {}", lines.len());
    lines.join("\n")
}

/// Made by ffmpeg: an init section, and a fragment.
fn mp4(folder: &Path, options: &str) -> (Vec<u8>, Vec<u8>) {
    let movflags = "-f mp4 -movflags frag_keyframe+empty_moov+default_base_moof+skip_trailer";
    // One fragment: ffmpeg takes the vectors of another one where there are several and no index.
    ffmpeg(folder, &format!("{BOTH} -g 200 {movflags} {options} film.mp4"));
    let film = fs::read(folder.join("film.mp4")).expect("the film");
    let moof = film.windows(4).position(|word| word == b"moof").expect("a fragment") - 4;
    (film[..moof].to_vec(), film[moof..].to_vec())
}

fn decrypted(init: &[u8], segment: &[u8]) -> Vec<u8> {
    let mut clear = init.to_vec();
    decrypt(Cipher::Samples, &KEY, &IV, &[], &mut clear).expect("an init section");
    let mut media = segment.to_vec();
    decrypt(Cipher::Samples, &KEY, &[0; 16], init, &mut media).expect("fragments");
    assert_eq!((clear.len(), media.len()), (init.len(), segment.len()), "nothing moves");
    for box_type in [b"encv", b"enca", b"sinf", b"senc", b"saiz", b"saio", b"pssh", b"seig"] {
        let there = |data: &[u8]| data.windows(4).any(|word| word == box_type);
        let hidden = box_type == b"seig" || !there(&clear) && !there(&media);
        assert!(hidden, "{} is left", String::from_utf8_lossy(box_type));
    }
    [clear, media].concat()
}

/// The sample bytes of all fragments.
fn samples(data: &[u8]) -> Vec<u8> {
    let (mut at, mut out) = (0, Vec::new());
    while at + 8 <= data.len() {
        let size = u32::from_be_bytes(data[at..at + 4].try_into().expect("four bytes")) as usize;
        if &data[at + 4..at + 8] == b"mdat" {
            out.extend_from_slice(&data[at + 8..at + size]);
        }
        at += size;
    }
    out
}

#[test]
fn the_modes_agree_with_the_vectors_of_nist() {
    // SP 800-38A F.2.2, F.2.6, F.5.2, F.5.6; the last block of the CBC texts is followed by one of padding made here.
    let plain = hex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    let short = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let long = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let iv: Block = hex("000102030405060708090a0b0c0d0e0f").try_into().expect("a block");
    let counter: Block = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().expect("a block");
    for (key, cbc, ctr) in [
        (
            &short,
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            &long,
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        ),
    ] {
        let mut data = hex(ctr);
        decrypt(Cipher::Ctr, key, &counter, &[], &mut data).expect("CTR");
        assert_eq!(data, plain);
        // Without its padding block the text of NIST is damaged; what comes out is right all the same.
        let mut data = hex(cbc);
        let padded = decrypt(Cipher::Cbc, key, &iv, &[], &mut data);
        assert_eq!((padded, data), (Err(CryptoError::Padding), plain.clone()));
    }
}

#[test]
fn whole_segments_that_openssl_encrypted_come_out() {
    if !has("openssl", "version") {
        return;
    }
    let folder = folder("openssl");
    let long = [KEY, IV].concat();
    for (cipher, name, key) in [
        (Cipher::Cbc, "-aes-128-cbc", &KEY[..]),
        (Cipher::Cbc, "-aes-256-cbc", &long),
        (Cipher::Ctr, "-aes-128-ctr", &KEY[..]),
        (Cipher::Ctr, "-aes-256-ctr", &long),
    ] {
        for length in [0, 1, 15, 16, 17, 127, 128, 129, 5000] {
            let plain: Vec<u8> = (0..length).map(|byte| (byte % 251) as u8).collect();
            fs::write(folder.join("plain"), &plain).expect("written");
            let run = Command::new("openssl")
                .args([
                    "enc",
                    name,
                    "-K",
                    &as_hex(key),
                    "-iv",
                    &as_hex(&IV),
                    "-in",
                    "plain",
                    "-out",
                    "cipher",
                ])
                .current_dir(&folder)
                .status();
            assert!(run.expect("openssl runs").success());
            let mut data = fs::read(folder.join("cipher")).expect("encrypted");
            decrypt(cipher, key, &IV, &[], &mut data).expect("it decrypts");
            assert_eq!(data, plain, "{name}, {length} bytes");
        }
    }
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn a_key_of_another_length_and_damaged_padding_are_refused() {
    for length in [0, 15, 17, 24, 33] {
        let refused = decrypt(Cipher::Cbc, &vec![0; length], &IV, &[], &mut vec![0; 32]);
        assert_eq!(refused, Err(CryptoError::KeyLength), "{length}");
    }
    let samples = decrypt(Cipher::Samples, &[0; 32], &IV, &[], &mut vec![0; 32]);
    assert_eq!(samples, Err(CryptoError::KeyLength));
    for length in [0, 1, 15, 17, 32] {
        let damaged = decrypt(Cipher::Cbc, &KEY, &IV, &[], &mut vec![7; length]);
        assert_eq!(damaged, Err(CryptoError::Padding), "{length}");
    }
}

#[test]
fn sample_aes_in_a_transport_stream_comes_out_as_it_went_in() {
    if !has("ffmpeg", "-version") {
        return;
    }
    let folder = folder("sample-aes");
    // Much noise, so that there are emulation prevention bytes of both kinds.
    ffmpeg(&folder, &format!("{BOTH} -vf noise=alls=40:allf=t -f mpegts clear.ts"));
    let clear = fs::read(folder.join("clear.ts")).expect("the stream");
    let encrypted = encrypt_ts(&clear, &KEY, &IV);
    assert_ne!(samples_of_ts(&clear), samples_of_ts(&encrypted));
    fs::write(folder.join("encrypted.ts"), &encrypted).expect("written");
    fs::write(folder.join("key"), KEY).expect("written");
    let playlist = format!(
        "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"key\",IV=0x{}\n#EXTINF:4,\nencrypted.ts\n#EXT-X-ENDLIST\n",
        as_hex(&IV)
    );
    fs::write(folder.join("list.m3u8"), playlist).expect("written");
    let expected = frames(&folder, "-i clear.ts");
    let by_ffmpeg = frames(&folder, "-allowed_extensions ALL -i list.m3u8");
    // ffmpeg leaves the last picture of a stream encrypted, and reorders it with the one before.
    let (pictures, sound): (Vec<_>, Vec<_>) =
        expected.lines().partition(|line| line.starts_with('0'));
    let same = |lines: &[&str]| lines.iter().filter(|line| by_ffmpeg.contains(**line)).count();
    assert!(same(&pictures) + 2 >= pictures.len(), "what is made here is what ffmpeg understands");
    assert_eq!(same(&sound), sound.len());

    let mut data = encrypted.clone();
    decrypt(Cipher::Samples, &KEY, &IV, &[], &mut data).expect("it decrypts");
    assert_eq!(data.len(), encrypted.len());
    fs::write(folder.join("decrypted.ts"), &data).expect("written");
    assert_eq!(frames(&folder, "-i decrypted.ts"), expected);
    let _ = fs::remove_dir_all(folder);
}

/// The payloads of all packets.
fn samples_of_ts(data: &[u8]) -> Vec<u8> {
    data.chunks(188).flat_map(|packet| packet[4..].to_vec()).collect()
}

#[test]
fn sample_aes_in_raw_audio_comes_out_as_it_went_in() {
    if !has("ffmpeg", "-version") {
        return;
    }
    let folder = folder("raw-audio");
    for (name, codec) in [("a.aac", "aac"), ("a.ac3", "ac3"), ("a.eac3", "eac3")] {
        ffmpeg(&folder, &format!("-f lavfi -i sine=frequency=500:duration=4 -c:a {codec} {name}"));
        let audio = fs::read(folder.join(name)).expect("audio");
        // Decrypting twice what nobody encrypted shows that frames are found: their heads stay.
        let mut data = audio.clone();
        decrypt(Cipher::Samples, &KEY, &IV, &[], &mut data).expect("frames");
        assert_ne!(data, audio);
        fs::write(folder.join(format!("x{name}")), &data).expect("written");
        let packets = |file: &str| {
            let run = Command::new("ffprobe")
                .args(["-v", "quiet", "-show_entries", "packet=pos,size", "-of", "csv", file])
                .current_dir(&folder)
                .output();
            String::from_utf8(run.expect("ffprobe runs").stdout).expect("text")
        };
        assert!(packets(name).lines().count() > 90);
        assert_eq!(packets(&format!("x{name}")), packets(name), "{codec}");
    }
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn each_scheme_and_each_way_of_telling_comes_out_as_it_went_in() {
    if !has("ffmpeg", "-version") {
        return;
    }
    let folder = folder("schemes");
    let (init, clear) = mp4(&folder, "");
    let plans = [
        ("cbcs", PLAN),
        ("cenc", Plan { scheme: Scheme::Cenc, ..PLAN }),
        ("cbcs in saiz", Plan { auxiliary: Auxiliary::Saiz, ..PLAN }),
        ("cenc in saiz", Plan { scheme: Scheme::Cenc, auxiliary: Auxiliary::Saiz, ..PLAN }),
        ("cbcs in groups", Plan { second_iv: Some([9; 16]), ..PLAN }),
    ];
    for (name, plan) in plans {
        let encrypted_init = encrypt_init(&init, &plan);
        let encrypted = encrypt_segment(&init, &clear, &plan);
        assert_ne!(samples(&encrypted), samples(&clear), "{name}");
        let made = decrypted(&encrypted_init, &encrypted);
        assert!(samples(&made) == samples(&clear), "{name}");
        // ffmpeg knows no groups, and takes vectors from `senc`.
        if plan.second_iv.is_none() && plan.auxiliary == Auxiliary::Senc {
            fs::write(folder.join("e.mp4"), [encrypted_init, encrypted].concat()).expect("written");
            fs::write(folder.join("d.mp4"), &made).expect("written");
            let key = format!("-decryption_key {} -i e.mp4", as_hex(&KEY));
            assert_eq!(frames(&folder, &key), frames(&folder, "-i d.mp4"), "{name}");
        }
    }
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn streams_of_the_field_come_out_decodable() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/hls");
    if !fixtures.is_dir() || !has("ffmpeg", "-version") {
        eprintln!("skipped: there is no ../shared/fixtures/hls beside the project");
        return;
    }
    let folder = folder("field");
    let video = fs::read(fixtures.join("hls-sample-aes/video.mp4")).expect("the film");
    let key = hex("abba271e8bcf552bbd2e86a434a9a5d9");
    let (init, media) = (&video[..1019], &video[1171..]);
    let mut clear = init.to_vec();
    decrypt(Cipher::Samples, &key, &IV, &[], &mut clear).expect("an init section");
    let mut samples = media.to_vec();
    decrypt(Cipher::Samples, &key, &IV, init, &mut samples).expect("fragments");
    fs::write(folder.join("d.mp4"), [clear, samples].concat()).expect("written");
    frames(&folder, "-xerror -i d.mp4");

    let part = |cipher: Cipher, file: &str, key: &str, iv: &str| {
        let path = |name: &str| fixtures.join("hls-aes-256").join(name);
        let mut data = fs::read(path(file)).expect("a file");
        let key = fs::read(path(key)).expect("a key");
        let iv: Block = hex(iv).try_into().expect("a block");
        decrypt(cipher, &key, &iv, &[], &mut data).expect("it decrypts");
        data
    };
    let film = [
        part(Cipher::Cbc, "init.mp4", "init.key", "F9EBE119F65FCF2E5F3FDEEB4A3EB3D5"),
        part(Cipher::Cbc, "segment_0.m4s", "seg0.key", "3F6DE518DE9A0D8B0FC5EA114ACEDEFA"),
        part(Cipher::Cbc, "segment_1.m4s", "seg1.key", "9DF0B659F52F23C3676C08FE0049500F"),
        part(Cipher::Ctr, "segment_2.m4s", "seg2.key", "DB67562D1B5F959D1DBA9DD50BF87A52"),
        part(Cipher::Ctr, "segment_3.m4s", "seg3_and_4.key", "5161DD0995837650DE5E495DEF6BFBE5"),
        part(Cipher::Ctr, "segment_4.m4s", "seg3_and_4.key", "035022245B6DBA858C56F2F0079BAC96"),
    ];
    fs::write(folder.join("w.mp4"), film.concat()).expect("written");
    frames(&folder, "-xerror -i w.mp4");
    let _ = fs::remove_dir_all(folder);
}

/// Small encrypted streams to damage: an init section and a segment of MP4, and a transport stream.
fn small() -> Option<[Vec<u8>; 3]> {
    if !has("ffmpeg", "-version") {
        return None;
    }
    let folder = folder("damage");
    let (init, clear) = mp4(&folder, "-t 0.5");
    ffmpeg(&folder, &format!("{VIDEO} -t 0.3 -f mpegts s.ts"));
    let ts = fs::read(folder.join("s.ts")).expect("the stream");
    let plan = Plan { second_iv: Some([9; 16]), ..PLAN };
    let _ = fs::remove_dir_all(folder);
    Some([
        encrypt_init(&init, &plan),
        encrypt_segment(&init, &clear, &plan),
        encrypt_ts(&ts, &KEY, &IV),
    ])
}

#[test]
fn damage_costs_no_more_than_the_segment() {
    let Some([init, segment, ts]) = small() else { return };
    let heads = [init.len(), segment.len().min(2500), ts.len().min(2000)];
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() };
    let damage = proptest::collection::vec((any::<u16>(), any::<u8>()), 1..12);
    proptest!(config, |(damage in damage, cut in any::<u16>())| {
        let hurt = |data: &[u8], head: usize| {
            let mut data = data.to_vec();
            for (at, byte) in &damage {
                data[usize::from(*at) % head] = *byte;
            }
            if cut % 3 == 0 {
                data.truncate(usize::from(cut) % head);
            }
            data
        };
        for (init, data, head) in [
            (&hurt(&init, heads[0]), &segment, 0),
            (&init, &segment, heads[1]),
            (&init, &ts, heads[2]),
            (&init, &init, heads[0]),
        ] {
            let mut data = if head == 0 { data.clone() } else { hurt(data, head) };
            let length = data.len();
            let _ = decrypt(Cipher::Samples, &KEY, &IV, init, &mut data);
            prop_assert_eq!(data.len(), length);
        }
    });
}
