//! `prog load -L` and `-S`: a program in the kernel makes the object's maps and loads its
//! programs. Nothing is pinned: it is for looking at such programs and their signatures.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::insn::disasm::{References, disasm_one};
use bpfsys::sys::keyring::{Keyring, add_certificate};
use bpfsys::{ErrorKind, LoadError, SysError};
use loader::light::sign::{Certificate, PrivateKey, SignError, sign};
use loader::light::{LightOptions, LightProgram, ProgramSignature, RunError, RunOptions, generate};
use loader::relocate::PlanOptions;
use loader::target::Running;

use super::args::{Edits, KERNEL_BTF, Log};
use super::{advice, edit, log};
use crate::cli::Signing;
use crate::command::Context;
use crate::failure::{FAILED, Failure, Result, errno_status};
use crate::render::escape::Escaped;
use crate::words::{Words, shown};

/// `prog load OBJ …` with `-L` or `-S`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(1)?;
    let path = words.take_path("an object file")?;
    let (mut edits, mut log) = (Edits::default(), Log::default());
    while let Some(word) = words.peek() {
        if words.accept("log") {
            words.require(1)?;
            log.read(words.take("a level or a file")?)?;
        } else if !edits.accept(&mut words, KERNEL_BTF)? {
            return Err(Failure::new(format_args!(
                "expected no more arguments, 'type', 'only', 'set', 'log' or 'kconfig', got: \
                 '{}'?",
                shown(word)
            ))
            .with_hint("with -L nothing is pinned, so no path is taken"));
        }
    }
    let mut object = edit::open(path, context.options)?;
    edit::apply(&mut object, &edits)?;
    let kernel = Running::new();
    let mut options = LightOptions::default();
    options.hash = context.options.signing.is_some();
    options.target = Some(&kernel);
    options.plan = PlanOptions {
        kconfig: edit::kconfig(&edits)?,
        ..PlanOptions::default()
    };
    let program = generate(&object, &options)
        .map_err(|error| Failure::because("failed to make a loader program", error))?;
    listing(context, &program);
    let signature = context
        .options
        .signing
        .as_ref()
        .map(|signing| signed(&program, signing))
        .transpose()?;
    let mut options = RunOptions::default();
    options.log_level = log::number(&log, context.options.debug);
    options.signature = signature.as_deref().map(|bytes| ProgramSignature {
        bytes,
        keyring: Keyring::SESSION,
    });
    match program.run(&options) {
        Ok(loaded) => {
            let logs = [
                ("the loader program", &loaded.loader_log),
                ("the last program", &loaded.log),
            ];
            log::of_all(context, &log, &logs)?;
            context.output.done()
        }
        Err(error) => Err(failed(context, &log, error, signature.is_some())?),
    }
}

/// Shows the loader program itself, for `-d`.
fn listing(context: &mut Context<'_, '_>, program: &LightProgram) {
    if !context.options.debug {
        return;
    }
    let mut at = 0;
    while at < program.insns.len() {
        let line = disasm_one(&program.insns, at, &References);
        context.debug(format_args!("{at:4}: {line}"));
        at += line.slots.max(1);
    }
}

/// Signs the program.
pub(crate) fn signature(program: &LightProgram, signing: &Signing) -> Result<Vec<u8>> {
    Ok(signed_by(program, signing)?.0)
}

fn signed_by(program: &LightProgram, signing: &Signing) -> Result<(Vec<u8>, Certificate)> {
    let key = parsed(&signing.key, PrivateKey::parse)?;
    let certificate = parsed(&signing.certificate, Certificate::parse)?;
    let signature = sign(&program.insn_bytes(), &key, &certificate)
        .map_err(|error| Failure::because("failed to sign program", error))?;
    Ok((signature, certificate))
}

/// Signs the program and lets the kernel have the certificate.
fn signed(program: &LightProgram, signing: &Signing) -> Result<Vec<u8>> {
    let (signature, certificate) = signed_by(program, signing)?;
    add_certificate(Keyring::SESSION, c"bpf_key", certificate.der()).map_err(|error| {
        Failure::because(
            "failed to add the certificate to the session keyring",
            error,
        )
    })?;
    Ok(signature)
}

fn parsed<T>(path: &Path, parse: impl Fn(&[u8]) -> std::result::Result<T, SignError>) -> Result<T> {
    let file = Escaped(path.as_os_str().as_bytes());
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::because(format_args!("failed to read {file}"), error))?;
    parse(&bytes).map_err(|error| Failure::because(format_args!("failed to use {file}"), error))
}

fn failed(
    context: &mut Context<'_, '_>,
    log: &Log<'_>,
    error: RunError,
    signed: bool,
) -> Result<Failure> {
    let said = match &error {
        RunError::Load(error) => Some(("the loader program", error.log())),
        RunError::Step(error) => Some(("the step that failed", &error.log)),
        _ => None,
    };
    if let Some(said) = said {
        log::of_all(context, log, &[said])?;
    }
    let refused = match &error {
        RunError::Load(error) => Some(LoadError::sys(error)),
        _ => None,
    };
    let advice = refused.filter(|_| signed).and_then(for_signature);
    let status = status(&error);
    let failure = Failure::because("failed to load object file", error).with_status(status);
    Ok(match advice {
        Some(advice) => failure.with_hint(advice),
        None => failure,
    })
}

/// bpftool's: the kernel's answer.
fn status(error: &RunError) -> u8 {
    match error {
        RunError::Load(error) => errno_status(&error.sys()),
        RunError::Run(error) | RunError::Data { source: error, .. } => errno_status(error),
        RunError::Step(error) => u8::try_from(error.errno as i32 & 0xff)
            .ok()
            .filter(|low| *low != 0)
            .map_or(FAILED, u8::wrapping_neg),
        _ => FAILED,
    }
}

fn for_signature(error: SysError) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Unsupported => Some(
            "this kernel verifies no signatures: it is built without \
             CONFIG_SYSTEM_DATA_VERIFICATION",
        ),
        ErrorKind::TooBig | ErrorKind::Invalid => {
            Some("this kernel may know no signatures of programs: Linux 6.18 brought them")
        }
        _ => Some(advice::SIGNATURE),
    }
}
