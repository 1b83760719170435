//! `plan`: what loading an object would ask of a kernel, without asking.

pub mod gather;
pub mod view;
