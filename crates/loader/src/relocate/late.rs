//! What plans for loader programs leave to the kernel that those run on.

use crate::model::ExternIdx;
use btf::core_reloc::CoreRelo;

/// Of one program of a plan, what only the kernel it is loaded into can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Late {
    /// Instructions that need a symbol of the kernel, ascending. Wide loads load 0 so far, calls
    /// are calls of kernel function 0.
    pub(crate) symbols: Vec<(u32, ExternIdx)>,
    /// Instructions to relocate by types, ascending; offsets are in bytes of the whole program.
    pub(crate) core_relos: Vec<CoreRelo>,
}
