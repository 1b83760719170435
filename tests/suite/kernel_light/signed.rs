//! Signed loader programs.

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::sys::keyring::{Keyring, add_certificate};
use bpfsys::{ErrorKind, KernelVersion};
use loader::light::sign::{Certificate, PrivateKey, sign};
use loader::light::{ProgramSignature, RunError, RunOptions, Step};
use nix::errno::Errno;
use rbpftool_tests::{ensure_eq, fixture, skip};

use crate::{Bench, objects};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("hashed_data_is_verified", hashed);
    bench.one("changed_data_is_refused", changed);
    for kind in ["rsa", "p256", "p384"] {
        bench.one(&format!("signatures_are_verified::{kind}"), move || signed(kind));
    }
}

/// Skips where the kernel cannot keep a map for one program or hash it.
fn exclusive<T>(result: Result<T, RunError>) -> Result<T> {
    match result {
        Err(RunError::Data { what, source })
            if matches!(source.kind(), ErrorKind::TooBig | ErrorKind::Invalid)
                && KernelVersion::running()? < KernelVersion::new(6, 18, 0) =>
        {
            Err(skip(format!("this kernel cannot {what} signed data: {source}")))
        }
        result => Ok(result?),
    }
}

fn hashed() -> Result<()> {
    let object = objects::object("data")?;
    let program = objects::program(&object, true)?;
    let loaded = exclusive(program.run(&RunOptions::default()))?;
    ensure_eq!(loaded.progs.len(), program.progs.len());
    Ok(())
}

fn changed() -> Result<()> {
    let object = objects::object("data")?;
    let mut program = objects::program(&object, true)?;
    exclusive(program.run(&RunOptions::default()))?;
    let last = program.data.last_mut().context("no data")?;
    *last ^= 1;
    match program.run(&RunOptions::default()) {
        Err(RunError::Step(error)) => {
            ensure_eq!(error.step, Some(Step::Verify));
            ensure_eq!(error.errno, Errno::EINVAL);
            Ok(())
        }
        other => bail!("changed data: {other:?}"),
    }
}

fn signed(kind: &str) -> Result<()> {
    let read = |name: String| {
        let path = fixture(&format!("keys/{name}"));
        std::fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let key = PrivateKey::parse(&read(format!("{kind}.key.pem"))?)?;
    let certificate = Certificate::parse(&read(format!("{kind}.cert.pem"))?)?;
    let other = Certificate::parse(&read("other.cert.pem".to_owned())?)?;
    let object = objects::object("minimal")?;
    let program = objects::program(&object, true)?;
    let bytes = sign(&program.insn_bytes(), &key, &certificate)?;
    ensure!(sign(b"data", &key, &other).is_err(), "a key of another certificate");

    let mut options = RunOptions::default();
    options.signature = Some(ProgramSignature {
        bytes: &bytes,
        keyring: Keyring::SESSION,
    });
    // Nobody can verify it before the key is there.
    join_session()?;
    match exclusive(program.run(&options)) {
        Err(error) => {
            if let Some(RunError::Load(refused)) = error.downcast_ref::<RunError>() {
                if refused.sys().is(Errno::EOPNOTSUPP) || refused.sys().is(Errno::EINVAL) {
                    return Err(skip(format!("this kernel verifies no signatures: {refused}")));
                }
                ensure_eq!(refused.sys().errno(), Some(Errno::ENOKEY));
            } else {
                return Err(error);
            }
        }
        Ok(_) => bail!("verified without a key"),
    }
    let name = c"rbpftool test";
    match add_certificate(Keyring::SESSION, name, certificate.der()) {
        Err(error) if error.is(Errno::ENOPKG) || error.is(Errno::ENODEV) => {
            return Err(skip(format!("this kernel has no such keys: {error}")));
        }
        added => added.context("add the certificate")?,
    };
    let loaded = program.run(&options).context("run what is signed")?;
    ensure_eq!(loaded.progs.len(), 1);

    let mut forged = program.clone();
    let last = forged.insns.last_mut().context("no instructions")?;
    last.imm ^= 1;
    match forged.run(&options) {
        Err(RunError::Load(refused)) => {
            ensure_eq!(refused.sys().errno(), Some(Errno::EKEYREJECTED));
            Ok(())
        }
        other => bail!("a forged program: {other:?}"),
    }
}
