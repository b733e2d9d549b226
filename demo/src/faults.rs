//! Faults on purpose, for tests: a slow, silent, lying or broken origin.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What goes wrong with a matching request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status and no body.
    Status(u16),
    /// No answer while the fault lasts, then the connection ends.
    Hang,
    /// Half of the body, then the connection ends.
    Truncate,
    /// The connection ends without a body.
    Close,
    /// The file's last byte is another.
    Spoil,
    /// At most so many bytes a second for each response.
    Slow(u64),
}

/// Why a text names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no fault: want status:CODE, hang, truncate, close, spoil, slow:BYTES_PER_SECOND or none"
)]
pub(crate) struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        match text.split_once(':') {
            None => match text {
                "hang" => Ok(Self::Hang),
                "truncate" => Ok(Self::Truncate),
                "close" => Ok(Self::Close),
                "spoil" => Ok(Self::Spoil),
                _ => Err(unknown()),
            },
            Some(("status", code)) => match code.parse() {
                Ok(code @ 200..=599) => Ok(Self::Status(code)),
                _ => Err(unknown()),
            },
            Some(("slow", rate)) => match rate.parse() {
                Ok(rate) if rate > 0 => Ok(Self::Slow(rate)),
                _ => Err(unknown()),
            },
            Some(_) => Err(unknown()),
        }
    }
}

struct Rule {
    id: u64,
    path_contains: String,
    fault: Fault,
    until: Option<Instant>,
}

/// The faults in force.
#[derive(Default)]
pub(crate) struct Faults {
    rules: Mutex<(u64, Vec<Rule>)>,
}

impl Faults {
    /// Breaks requests whose path contains `path_contains`, for `duration` or until cleared. The last
    /// rule added wins.
    pub(crate) fn add(&self, path_contains: String, fault: Fault, duration: Option<Duration>) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.0 += 1;
        let id = rules.0;
        let until = duration.and_then(|duration| Instant::now().checked_add(duration));
        rules.1.push(Rule { id, path_contains, fault, until });
    }

    /// Ends the faults that were added for exactly `path_contains`, or all when it is empty.
    pub(crate) fn clear(&self, path_contains: &str) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.1.retain(|rule| !path_contains.is_empty() && rule.path_contains != path_contains);
    }

    /// The fault for `path`, with the id that [`Self::active`] knows it by.
    pub(crate) fn find(&self, path: &str) -> Option<(u64, Fault)> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        rules.1.retain(|rule| rule.until.is_none_or(|until| now < until));
        let rule = rules.1.iter().rev().find(|rule| path.contains(&rule.path_contains))?;
        Some((rule.id, rule.fault))
    }

    /// Whether the rule still holds.
    pub(crate) fn active(&self, id: u64) -> bool {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        rules.1.iter().any(|rule| rule.id == id && rule.until.is_none_or(|until| now < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names() {
        assert_eq!("status:503".parse(), Ok(Fault::Status(503)));
        assert_eq!("slow:1000".parse(), Ok(Fault::Slow(1000)));
        assert_eq!("hang".parse(), Ok(Fault::Hang));
        for text in ["", "status:99", "status:x", "slow:0", "slow:", "none", "hang:3"] {
            assert!(text.parse::<Fault>().is_err(), "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_ends_by_itself_and_the_last_one_wins() {
        let faults = Faults::default();
        faults.add(".m4s".into(), Fault::Hang, None);
        faults.add("720p".into(), Fault::Close, Some(Duration::from_secs(5)));
        let (id, fault) = faults.find("/media/sample/720p/000.m4s").unwrap();
        assert_eq!(fault, Fault::Close);
        assert!(faults.active(id));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(!faults.active(id));
        assert_eq!(faults.find("/media/sample/720p/000.m4s").unwrap().1, Fault::Hang);
        faults.clear(".m4s");
        assert_eq!(faults.find("/media/sample/720p/000.m4s"), None);
    }
}
