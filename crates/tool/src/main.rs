//! rbpftool
fn main() {}
