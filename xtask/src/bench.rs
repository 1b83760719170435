//! bench placeholder
use crate::ctx::Ctx;
pub(crate) fn task(_ctx: &Ctx, _args: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
