//! What a panic was, in debug builds. In a release build the page hears from the browser that the engine has
//! trapped, and the words for it would be downloaded by every page.

use std::cell::RefCell;

use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;

use crate::messages::Object;

thread_local! {
    /// Where a panic is reported: the page of the engine that was made last in this worker.
    static PANIC_POST: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// A panic traps and leaves the instance unusable: the page is told with `failed` what it was.
pub(crate) fn report(post: &Function) {
    PANIC_POST.with(|slot| slot.replace(Some(post.clone())));
    std::panic::set_hook(Box::new(|info| {
        let message: JsValue = format!("the engine panicked: {info}").into();
        web_sys::console::error_1(&message);
        PANIC_POST.with(|slot| {
            let post = slot.try_borrow().ok().and_then(|post| post.clone());
            if let Some(post) = post {
                let failed = Object::new("failed").with("message", message);
                // Nothing more can be done when this throws too.
                let _ = post.call2(&JsValue::UNDEFINED, failed.as_js(), &Array::new());
            }
        });
    }));
}
