//! The cache across sessions, which `www/src/internal/segment-cache.ts` reads and writes.

use js_sys::Uint8Array;
use player_core::io::CacheCommand;

use crate::messages::Object;
use crate::shell::Shell;

impl Shell {
    /// Has a segment looked for, or kept. In a part of its own: see `parts.rs`.
    #[inline(never)]
    pub(crate) fn cache(&self, command: CacheCommand) {
        let about = |hash: &[u8]| Object::new("cache").with("hash", Uint8Array::from(hash));
        match command {
            CacheCommand::Recall { job, hash } => {
                self.post(&about(&hash).with("job", job.0), None);
            }
            CacheCommand::Keep { hash, data, limit } => {
                let data = Uint8Array::from(&data[..]);
                let buffer = data.buffer();
                let message = about(&hash).with("limit", limit as f64).with("data", data);
                self.post(&message, Some(&buffer));
            }
        }
    }
}
