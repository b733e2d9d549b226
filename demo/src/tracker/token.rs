//! Swarm tokens (`docs/swarm-tokens.md`): a site names a swarm as nobody else can guess, and lets its viewers in for a while.

use std::time::Duration;

use ed25519_compact::{PublicKey, Signature};
use hmac::{Hmac, KeyInit as _, Mac as _};
use player_core::proof::{hexadecimal, push_hexadecimal};
use player_core::swarm::token_swarm;
use player_core::wire::InfoHash;
use sha2::Sha256;

use crate::clock;
use crate::hashes::Signer;

/// What stands before the title where a swarm's name is worked out.
const NAME: &str = "potluck:swarm:1:";
/// What stands before the signed part of a token.
const HEAD: &str = "potluck:swarm-token:1:";

/// The swarm of a title: the first 20 bytes of HMAC-SHA-256 over a prefix and the title, with the site's secret key.
/// Whoever does not have the key cannot tell it from noise.
#[must_use]
pub fn swarm_of(signer: &Signer, title: &str) -> InfoHash {
    let mut mac = <Hmac<Sha256>>::new_from_slice(&signer.seed()).expect("any length will do");
    mac.update(NAME.as_bytes());
    mac.update(title.as_bytes());
    let code = mac.finalize().into_bytes();
    InfoHash(std::array::from_fn(|byte| code[byte]))
}

/// A token for a swarm: `NAME.EXPIRY.SIGNATURE`. `expires` in seconds since 1970.
#[must_use]
pub fn issue(signer: &Signer, swarm: InfoHash, expires: u64) -> String {
    let mut token = String::new();
    push_hexadecimal(&mut token, &swarm.0);
    token += &format!(".{expires}");
    let signature = signer.sign(format!("{HEAD}{token}").as_bytes());
    token.push('.');
    push_hexadecimal(&mut token, &signature);
    token
}

/// A token that is good for so long from now on.
#[must_use]
pub fn issue_for(signer: &Signer, swarm: InfoHash, time: Duration) -> String {
    issue(signer, swarm, (clock::now() + time).as_secs())
}

/// A public key in 64 hexadecimal digits.
///
/// # Errors
///
/// It is none.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    let bytes = hexadecimal::<32>(text.trim());
    bytes.map(PublicKey::new).ok_or_else(|| {
        "want 64 hexadecimal digits, as `potluck keygen` and `potluck token` print them".to_owned()
    })
}

/// A token that was found to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Seconds since 1970.
    pub expires: u64,
    signature: [u8; 64],
}

/// Lets in who has a token.
#[derive(Debug)]
pub struct Door {
    keys: Vec<PublicKey>,
}

impl Door {
    /// Takes tokens that one of these keys has signed; `None`: there is no door, as there are no keys.
    #[must_use]
    pub fn new(keys: &[PublicKey]) -> Option<Self> {
        (!keys.is_empty()).then(|| Self { keys: keys.to_vec() })
    }

    /// Checks a token for a swarm. `known` is what the same viewer has shown before: its signature is not verified again.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words for whoever runs the page.
    pub fn check(
        &self,
        now: u64,
        swarm: InfoHash,
        token: Option<&str>,
        known: Option<&Pass>,
    ) -> Result<Pass, &'static str> {
        let token = token.ok_or("this tracker wants a swarm token")?;
        let named = token_swarm(token).ok_or("the swarm token cannot be read")?;
        if named != swarm {
            return Err("the swarm token is for another swarm");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("the swarm token cannot be read")?;
        // Each token has one spelling only.
        let expires = signed.get(41..).unwrap_or_default();
        let expires: u64 = expires
            .parse()
            .ok()
            .filter(|time: &u64| time.to_string() == expires)
            .ok_or("the swarm token cannot be read")?;
        let signature = hexadecimal::<64>(signature).ok_or("the swarm token cannot be read")?;
        if expires <= now {
            return Err("the swarm token has expired");
        }
        let pass = Pass { expires, signature };
        let message = format!("{HEAD}{signed}");
        let right = |key: &PublicKey| key.verify(&message, &Signature::new(signature)).is_ok();
        if known == Some(&pass) || self.keys.iter().any(right) {
            Ok(pass)
        } else {
            Err("the swarm token is not signed with this tracker's key")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::from_seed(std::array::from_fn(|byte| byte as u8))
    }

    /// The vectors of docs/swarm-tokens.md.
    #[test]
    fn names_and_tokens_are_those_of_the_documentation() {
        let page = include_str!("../../../docs/swarm-tokens.md");
        let signer = signer();
        for title in ["", "film/42", "Zürich — live"] {
            let mut name = String::new();
            push_hexadecimal(&mut name, &swarm_of(&signer, title).0);
            assert!(page.contains(&name), "{title}: {name}");
        }
        let token = issue(&signer, swarm_of(&signer, "film/42"), 2_000_000_000);
        assert!(page.contains(&token), "{token}");
        assert!(page.contains(&signer.public_key()), "{}", signer.public_key());
    }

    #[test]
    fn a_token_lets_into_its_swarm_until_it_expires_and_nothing_else_does() {
        let signer = signer();
        let door = Door::new(&[public_key(&signer.public_key()).unwrap()]).unwrap();
        let (swarm, other) = (swarm_of(&signer, "a film"), swarm_of(&signer, "another"));
        let token = issue(&signer, swarm, 1000);
        let pass = door.check(999, swarm, Some(&token), None).unwrap();
        assert_eq!(pass.expires, 1000);
        let refused = |now, swarm, token: Option<&str>| {
            door.check(now, swarm, token, Some(&pass)).unwrap_err()
        };
        assert_eq!(refused(0, swarm, None), "this tracker wants a swarm token");
        assert_eq!(refused(1000, swarm, Some(&token)), "the swarm token has expired");
        assert_eq!(refused(0, other, Some(&token)), "the swarm token is for another swarm");
        let foreign = issue(&Signer::from_seed([9; 32]), swarm, 1000);
        let unsigned = "the swarm token is not signed with this tracker's key";
        assert_eq!(refused(0, swarm, Some(&foreign)), unsigned);
        // Nobody lengthens it, and nobody writes it in another way.
        assert_eq!(refused(0, swarm, Some(&token.replace(".1000.", ".9999."))), unsigned);
        for wrong in [
            "".to_owned(),
            "x".repeat(300),
            token.replace(".1000.", ".01000."),
            token.replace(".1000.", ".+1000."),
            token.replace(".1000.", ".."),
            token.replace(".1000.", "."),
            token.replace(".1000.", ".99999999999999999999."),
            format!("{token}0"),
            format!("{token}."),
            token[..170].to_owned(),
        ] {
            assert_eq!(
                refused(0, swarm, Some(&wrong)),
                "the swarm token cannot be read",
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_was_verified_once_is_not_verified_again() {
        let signer = signer();
        let swarm = swarm_of(&signer, "a film");
        let token = issue(&signer, swarm, 1000);
        let door = Door::new(&[public_key(&signer.public_key()).unwrap()]).unwrap();
        let pass = door.check(0, swarm, Some(&token), None).unwrap();
        let keyless = Door { keys: Vec::new() };
        assert_eq!(keyless.check(0, swarm, Some(&token), Some(&pass)), Ok(pass));
        assert!(keyless.check(0, swarm, Some(&token), None).is_err());
    }

    #[test]
    fn a_new_key_and_the_old_one_both_open_while_they_are_exchanged() {
        let signers = [Signer::from_seed([1; 32]), Signer::from_seed([2; 32])];
        let keys = signers.each_ref().map(|one| public_key(&one.public_key()).unwrap());
        let door = Door::new(&keys).unwrap();
        for signer in &signers {
            let swarm = swarm_of(signer, "a film");
            assert!(door.check(0, swarm, Some(&issue(signer, swarm, 1)), None).is_ok());
        }
        assert!(Door::new(&[]).is_none());
        assert!(public_key("abc").is_err());
    }
}
