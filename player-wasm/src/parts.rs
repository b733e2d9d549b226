//! Parts of the engine that are files of their own. The build cuts them off after linking (`xtask/src/parts.rs`), and
//! puts stubs in their place that come here when a part is called before it is there.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Loads a part while the engine waits: see `engine-parts.ts`, which sets it.
    #[wasm_bindgen(js_name = potluckLoadPart)]
    fn load_now(part: i32);
}

/// Has a part loaded. Called by stubs alone; exported so that it is there for them.
#[wasm_bindgen]
pub fn load_part(part: i32) {
    load_now(part);
}
