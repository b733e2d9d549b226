//! potluck
fn main() {}
