//! What a plan depends on besides the object and the target.

use btf::Btf;
use std::sync::Arc;

/// Choices of a plan.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Lines in the form of the kernel's configuration, which come before those of the target.
    pub kconfig: Option<String>,
    /// Types that CO-RE compares with, instead of those of the target and its modules.
    #[doc(alias = "btf_custom_path")]
    pub core_btf: Option<Arc<Btf<'static>>>,
    /// Whether [`ProgPlan::core`](super::ProgPlan::core) tells what each relocation did. Costs
    /// time, and only people read it.
    pub explain: bool,
}
