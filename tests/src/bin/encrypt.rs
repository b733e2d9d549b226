//! Encrypts streams for tests; see `tests::encrypt`.
//!
//! `encrypt sample-aes KEY IV IN.ts OUT.ts …` or `encrypt cbcs|cenc KEY KID IV INIT.mp4 OUT.mp4 IN.m4s OUT.m4s …`;
//! key, id and vector are 32 hexadecimal digits.

use std::error::Error;
use std::fs;

use tests::encrypt::{Auxiliary, Block, Plan, Scheme, encrypt_init, encrypt_segment, encrypt_ts};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &words[..] {
        ["sample-aes", key, iv, files @ ..] => {
            for pair in files.chunks_exact(2) {
                fs::write(pair[1], encrypt_ts(&fs::read(pair[0])?, &block(key)?, &block(iv)?))?;
            }
            Ok(())
        }
        [scheme @ ("cbcs" | "cenc"), key, kid, iv, init, init_out, files @ ..] => {
            let plan = Plan {
                scheme: if *scheme == "cenc" { Scheme::Cenc } else { Scheme::Cbcs },
                key: block(key)?,
                kid: block(kid)?,
                iv: block(iv)?,
                auxiliary: Auxiliary::Senc,
                second_iv: None,
            };
            let init = fs::read(init)?;
            fs::write(init_out, encrypt_init(&init, &plan))?;
            for pair in files.chunks_exact(2) {
                fs::write(pair[1], encrypt_segment(&init, &fs::read(pair[0])?, &plan))?;
            }
            Ok(())
        }
        _ => Err("what to encrypt, and how? see the head of tests/src/bin/encrypt.rs".into()),
    }
}

fn block(hex: &str) -> Result<Block, Box<dyn Error>> {
    Ok(u128::from_str_radix(hex, 16)?.to_be_bytes())
}
