//! Loading with the rights of a token, in a user namespace.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bpfsys::ErrorKind;
use bpfsys::probe::Support;
use loader::kernel::{KernelError, LoadOptions, TokenSource};
use loader::target::{Feature, Running, Target as _};
use rbpftool_tests::{ensure_eq, skip};

use crate::delegate;
use crate::support::{Bench, older_than, open, options};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("token::loads_in_a_user_namespace", delegated);
    bench.one("token::is_asked_for_or_not", sources);
}

fn delegated(_dir: &Path) -> Result<()> {
    if older_than((6, 9))? {
        return Err(skip("tokens need Linux 6.9"));
    }
    delegate::run_inside("load")?.map_err(anyhow::Error::msg)
}

fn sources(dir: &Path) -> Result<()> {
    ensure!(TokenSource::None.open()?.is_none());
    ensure!(TokenSource::Path("".into()).open()?.is_none());
    // Nothing says where one would be, and there is none to be had: that is no error.
    ensure!(std::env::var_os("LIBBPF_BPF_TOKEN_PATH").is_none());
    ensure!(TokenSource::Environment.open()?.is_none());
    let error = TokenSource::Path("/proc/self/status".into()).open();
    let error = error.err().context("a token of a plain file")?;
    ensure!(
        matches!(error, KernelError::OpenTokenPath { .. }),
        "{error}"
    );
    // A token that is asked for must be had.
    let error = open("minimal")?.load(&options(dir).token(TokenSource::Path(dir.into())));
    let error = error.err().context("a token outside of a user namespace")?;
    let text = format!("{error:#}");
    ensure!(text.contains("cannot make a token of "), "{text}");
    Ok(())
}

/// What runs in the user namespace, instead of the suite.
pub(crate) fn inside() -> Result<()> {
    let mount = delegate::enter()?;
    let bpffs = format!("/proc/self/fd/{}", mount.as_raw_fd());
    let object = open("data")?;
    let error = object
        .load(&LoadOptions::new())
        .err()
        .context("loaded without a token")?;
    let denied = error
        .kernel()
        .and_then(KernelError::sys)
        .map(|sys| sys.kind());
    ensure_eq!(denied, Some(ErrorKind::Denied), "{error:#}");
    let hint = error.hint().context("no hint")?;
    ensure!(hint.contains("a token"), "{hint}");
    probes(&TokenSource::Path(bpffs.clone().into()))?;
    let with_token = LoadOptions::new().token(TokenSource::Path(bpffs.into()));
    let loaded = object
        .load(&with_token)
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    ensure_eq!(loaded.programs().len(), object.programs().len());
    ensure!(
        loaded.btf().is_some(),
        "its types were not loaded: {:?}",
        loaded.notes()
    );
    Ok(())
}

/// What the kernel has is known with a token, and not without.
fn probes(source: &TokenSource) -> Result<()> {
    let token = source.open()?.context("no token")?;
    let (without, with) = (Running::new(), Running::new().with_token(token));
    // All of these are older than tokens are.
    for feature in [
        Feature::ObjectNames,
        Feature::GlobalData,
        Feature::Btf,
        Feature::BtfFunc,
        Feature::BtfGlobalFunc,
        Feature::BtfDatasec,
        Feature::BtfFloat,
        Feature::BtfDeclTag,
        Feature::BtfTypeTag,
        Feature::BtfEnum64,
        Feature::ArrayMmap,
        Feature::ProbeReadKernel,
        Feature::ModuleBtf,
        Feature::MemcgAccounting,
        Feature::BpfCookie,
        Feature::ArgCtxTag,
    ] {
        let (without, with) = (without.has(feature), with.has(feature));
        let name = feature.name();
        ensure!(with.is_yes(), "{name} with a token: {with}");
        ensure!(
            matches!(without, Support::Unknown(_)),
            "{name} without a token: {without}"
        );
    }
    let far = with.has(Feature::FullRangeMapValue);
    ensure!(
        !matches!(far, Support::Unknown(_)),
        "full_range_map_value: {far}"
    );
    Ok(())
}
