//! Time, one timer, and randomness for the core's seed.

use std::cell::RefCell;
use std::time::Duration;

use js_sys::{Function, Uint32Array};
use player_core::time::Instant;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn random_values(values: &Uint32Array);
}

/// Now, on the core's clock: since the worker began.
pub(crate) fn now() -> Instant {
    Instant::from_millis_f64(performance_now())
}

/// Wall-clock time in ms since the Unix epoch, as the user's clock has it.
pub(crate) fn wall_clock_ms() -> f64 {
    js_sys::Date::now()
}

/// A seed that nobody can guess: peer ids and choices come from it.
pub(crate) fn seed() -> u64 {
    let values = Uint32Array::new_with_length(2);
    random_values(&values);
    u64::from(values.get_index(0)) << 32 | u64::from(values.get_index(1))
}

/// The shell's one timer.
#[derive(Debug)]
pub(crate) struct Timer {
    callback: Closure<dyn Fn()>,
    armed: RefCell<Option<(JsValue, Instant)>>,
}

impl Timer {
    /// A timer that calls `wake`; it may come before its time, never twice for one arming.
    pub(crate) fn new(wake: impl Fn() + 'static) -> Self {
        Self { callback: Closure::new(wake), armed: RefCell::new(None) }
    }

    /// Wakes at `at` or before. An earlier wake-up that is already armed stays: whoever is woken
    /// looks at the clock and arms again, which costs less than setting a timer with each input.
    pub(crate) fn arm(&self, at: Instant) {
        let mut armed = self.armed.borrow_mut();
        if armed.as_ref().is_some_and(|(_, earlier)| *earlier <= at) {
            return;
        }
        if let Some((timer, _)) = armed.take() {
            clear_timeout(&timer);
        }
        // Rounded up, so that it is time when it wakes.
        let millis = at.since(now()).saturating_add(Duration::from_micros(999)).as_millis();
        let millis = f64::from(u32::try_from(millis).unwrap_or(u32::MAX).min(LONGEST_MS));
        *armed = Some((set_timeout(self.callback.as_ref().unchecked_ref(), millis), at));
    }

    /// To be called by `wake`.
    pub(crate) fn fired(&self) {
        self.armed.take();
    }
}

/// Longer delays overflow in browsers and fire at once.
const LONGEST_MS: u32 = i32::MAX as u32;

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((timer, _)) = self.armed.take() {
            clear_timeout(&timer);
        }
    }
}
