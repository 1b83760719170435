//! The kernel that a loader program is for: one that has everything.

use crate::target::{Feature, ModuleBtf, Symbol, Target, TargetError};
use bpfsys::probe::Support;
use btf::Btf;

/// A kernel that has every feature, and of which the rest is known if somebody tells.
///
/// A loader program is made once for all kernels it may run on, so nothing is downgraded.
pub(super) struct Everything<'a>(pub(super) Option<&'a dyn Target>);

/// Pages of most machines.
const PAGE_SIZE: u32 = 4096;
