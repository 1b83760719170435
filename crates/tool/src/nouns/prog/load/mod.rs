//! `prog load` and `prog loadall`: from an object file to pinned programs and maps.

pub mod args;
