//! What bpf file systems delegate, in the order of the JSON keys.

use serde::Serialize;

use crate::render::escape::Text;

/// A bpf file system of which tokens can be made, and what they allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// Where it is mounted.
    pub token_info: Text,
    /// Commands, by the kernel's names, or `any`.
    pub allowed_cmds: Vec<Text>,
    /// Types of maps.
    pub allowed_maps: Vec<Text>,
    /// Types of programs.
    pub allowed_progs: Vec<Text>,
    /// Attach types.
    pub allowed_attachs: Vec<Text>,
}
