//! Potluck's engine in a dedicated worker: everything the browser is asked for, and no policy.
//!
//! One file per capability of the platform. `shell.rs` holds the loop: one input into
//! [`player_core::Player`], then a full drain of its outputs, then one timer. The objects that go
//! to and come from the page are described in `www/src/internal/protocol.ts`.

mod cache;
mod channel;
mod clock;
mod fetch;
mod messages;
#[cfg(debug_assertions)]
mod panics;
pub mod parts;
mod recorder;
mod shell;
mod socket;
mod table;

use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use crate::messages::{config_from_js, task_from_js};
use crate::shell::{Shell, Task};

/// The engine of one player. Freed, it leaves the swarm and ends all that it had begun.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    shell: Rc<Shell>,
}

#[wasm_bindgen]
impl Engine {
    /// An engine with nothing loaded. `config` is an `EngineConfig`; `post(message, transfer)` is
    /// called with each message for the page or the media sink.
    ///
    /// # Errors
    /// When `config` is not an `EngineConfig`: its `p2p` or a name in its `tuning` is unknown.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "object")] config: &JsValue,
        #[wasm_bindgen(
            unchecked_param_type = "(message: object, transfer: Transferable[]) => void"
        )]
        post: Function,
    ) -> Result<Self, JsError> {
        #[cfg(debug_assertions)]
        panics::report(&post);
        let config = config_from_js(config).map_err(|message| JsError::new(&message))?;
        Ok(Self { shell: Shell::new(config, post) })
    }

    /// Takes one message of the page or the media sink: any `ToWorker` but `start`. One that is
    /// none of these is logged and ignored.
    pub fn handle(&self, #[wasm_bindgen(unchecked_param_type = "object")] message: &JsValue) {
        match task_from_js(message) {
            Some(task) => self.shell.give(task),
            None => web_sys::console::error_2(&"potluck: not a message".into(), message),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Says goodbye to peers and tracker while their connections are still open.
        self.shell.give(Task::Unload);
    }
}
