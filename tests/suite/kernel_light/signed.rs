//! Signed loader programs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::sys::keyring::{Keyring, add_certificate};
use bpfsys::{ErrorKind, KernelVersion, LoadError};
use loader::light::sign::{Certificate, PrivateKey, sign};
use loader::light::{ProgramSignature, RunError, RunOptions, Step};
use nix::errno::Errno;
use rbpftool_tests::{ensure_eq, fixture, requires, run, skip};

use crate::{Bench, objects};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("hashed_data_is_verified", hashed);
    bench.one("changed_data_is_refused", changed);
    for kind in ["rsa", "p256", "p384"] {
        bench
            .suite
            .add(format!("openssl_agrees::{kind}"), move || openssl(kind));
        bench.one(&format!("signatures_are_verified::{kind}"), move || {
            signed(kind)
        });
    }
}

/// Skips where the kernel cannot keep a map for one program or hash it.
fn exclusive<T>(result: Result<T, RunError>) -> Result<T> {
    match result {
        Err(RunError::Data { what, source })
            if matches!(source.kind(), ErrorKind::TooBig | ErrorKind::Invalid)
                && KernelVersion::running()? < KernelVersion::new(6, 18, 0) =>
        {
            Err(skip(format!(
                "this kernel cannot {what} signed data: {source}"
            )))
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

/// Without `CONFIG_SYSTEM_DATA_VERIFICATION`.
fn verifies_nothing(refused: &LoadError) -> bool {
    refused.sys().is(Errno::EOPNOTSUPP)
}

/// OpenSSL agrees.
fn openssl(kind: &str) -> Result<()> {
    let (key, certificate) = pair(kind)?;
    let object = objects::object("minimal")?;
    let program = objects::program(&object, true)?;
    let dir = tempfile::tempdir()?;
    let write = |name: &str, bytes: &[u8]| -> Result<_> {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    };
    let data = write("data", &program.insn_bytes())?;
    let signature = sign(&program.insn_bytes(), &key, &certificate)?;
    let signature = write("signature", &signature)?;
    let verify = |data: &Path| {
        let mut command = Command::new("openssl");
        command.args(["cms", "-verify", "-binary", "-inform", "DER", "-noverify"]);
        command.args(["-out", "/dev/null", "-certfile"]);
        command.arg(fixture(&format!("keys/{kind}.cert.pem")));
        command.arg("-in").arg(&signature).arg("-content").arg(data);
        run(&mut command, b"")
    };
    requires!(
        Command::new("openssl").arg("version").output().is_ok(),
        "openssl is not installed"
    );
    let output = verify(&data)?;
    ensure_eq!(output.status, 0, "{}", output.err());
    let forged = write("forged", b"something else")?;
    ensure!(verify(&forged)?.status != 0, "a signature of anything");
    Ok(())
}

/// A key and its certificate.
fn pair(kind: &str) -> Result<(PrivateKey, Certificate)> {
    let key = PrivateKey::parse(&read(&format!("{kind}.key.pem"))?)?;
    let certificate = Certificate::parse(&read(&format!("{kind}.cert.pem"))?)?;
    Ok((key, certificate))
}

fn read(name: &str) -> Result<Vec<u8>> {
    let path = fixture(&format!("keys/{name}"));
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

fn signed(kind: &str) -> Result<()> {
    let (key, certificate) = pair(kind)?;
    let other = Certificate::parse(&read("other.cert.pem")?)?;
    let object = objects::object("minimal")?;
    let program = objects::program(&object, true)?;
    let bytes = sign(&program.insn_bytes(), &key, &certificate)?;
    ensure!(
        sign(b"data", &key, &other).is_err(),
        "a key of another certificate"
    );

    // The keyring is this thread's, and goes with it.
    let add = |certificate: &Certificate| {
        let added = add_certificate(Keyring::THREAD, c"rbpftool test", certificate.der());
        match added {
            // Without the algorithm, or without keys at all.
            Err(error)
                if [Errno::ENOPKG, Errno::ENOENT, Errno::ENODEV]
                    .iter()
                    .any(|errno| error.is(*errno)) =>
            {
                Err(skip(format!("this kernel has no such keys: {error}")))
            }
            added => added.context("add a certificate"),
        }
    };
    let mut options = RunOptions::default();
    options.signature = Some(ProgramSignature {
        bytes: &bytes,
        keyring: Keyring::THREAD,
    });
    add(&other)?;
    match exclusive(program.run(&options)) {
        Err(error) => match error.downcast_ref::<RunError>() {
            Some(RunError::Load(refused)) if verifies_nothing(refused) => {
                return Err(skip(format!(
                    "this kernel verifies no signatures: {refused}"
                )));
            }
            Some(RunError::Load(refused)) => {
                ensure_eq!(refused.sys().errno(), Some(Errno::ENOKEY));
            }
            _ => return Err(error),
        },
        Ok(_) => bail!("verified without a key"),
    }
    add(&certificate)?;
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
