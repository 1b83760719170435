//! `prog load` and `prog loadall`: from an object file to pinned programs and maps.
//!
//! `args` reads the words, `edit` the object and what is changed in it, the crate `loader` does
//! the loading, `attach` and `pin` what comes after, `log` says what the verifier wrote.

pub(crate) mod advice;
pub mod args;
mod attach;
pub mod edit;
pub(crate) mod light;
mod log;
pub(crate) mod pin;

use std::path::Path;
use std::sync::Arc;

use bpfsys::VerifierLog;
use loader::attach::Links;
use loader::kernel::{KernelError, LoadOptions, Loaded, NewPins, TokenSource};
use loader::model::Object;
use loader::relocate::{LoadPlan, PlanError, PlanOptions};
use loader::target::Running;

use self::args::{Edits, LoadArgs, Log};
use crate::command::Context;
use crate::failure::{FAILED, Failure, Result};
use crate::nouns::btf::source;
use crate::pins;
use crate::render::escape::Escaped;
use crate::words::Words;

/// `prog load OBJ PATH …`: the first program is pinned at the path.
pub(super) fn one(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    if context.options.use_loader {
        return light::run(context, words);
    }
    run(context, words, Which::First)
}

/// `prog loadall OBJ DIR …`: every program is pinned in the directory.
pub(super) fn all(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    run(context, words, Which::All)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    All,
}

fn run(context: &mut Context<'_, '_>, mut words: Words<'_>, which: Which) -> Result<()> {
    let args = LoadArgs::parse(&mut words, context)?;
    // what cannot be pinned need not be loaded
    match which {
        Which::First => pins::check(args.path)?,
        Which::All => pins::check_directory(args.path)?,
    }
    args.pinmaps.map(pins::check_directory).transpose()?;
    let mut object = edit::open(args.object, context.options)?;
    edit::apply(&mut object, &args.edits)?;
    let (path, pinmaps, autoattach) = (args.path, args.pinmaps, args.autoattach);
    let log = Log {
        level: args.log.level,
        file: args.log.file,
    };
    let edits = Edits {
        kernel_btf: args.edits.kernel_btf,
        kconfig: args.edits.kconfig,
        ..Edits::default()
    };
    edit::apply_load(&mut object, args)?;
    let mut loaded = load(context, &object, &edits, &log)?;
    let mut new = pin::of_maps(&loaded);
    let mut links = Links::new();
    let attached = autoattach.then_some(&mut links);
    pin_programs(context, &loaded, path, which, attached, &mut new)?;
    if let Some(dir) = pinmaps {
        pin_maps(&mut loaded, dir)?;
    }
    new.keep();
    // Their pins keep them from here on.
    links.forget();
    context.output.done()
}

/// Loads an object into the running kernel.
pub fn load(
    context: &mut Context<'_, '_>,
    object: &Object,
    edits: &Edits<'_>,
    log: &Log<'_>,
) -> Result<Loaded> {
    for note in &object.notes {
        context.debug(format_args!("note: {}", Escaped(note.as_bytes())));
    }
    let token = TokenSource::Environment.open();
    let token = token.map_err(|error| failed("cannot use a token", error, false))?;
    let mut kernel = Running::new();
    let mut options = LoadOptions::new().log(log::level(log, context.options.debug));
    if let Some(token) = token {
        kernel = kernel.with_token(Arc::clone(&token));
        options = options.token(TokenSource::Fd(token));
    }
    let core_btf = edits.kernel_btf.map(|path| {
        let read = source::read(path, None);
        read.map_err(|failure| failure.with_status(FAILED))
    });
    let plan_options = PlanOptions {
        kconfig: edit::kconfig(edits)?,
        core_btf: core_btf.transpose()?.map(Arc::new),
        explain: context.options.debug,
    };
    let plan = LoadPlan::new(object, &kernel, &plan_options)
        .map_err(|error| cannot_plan("failed to load object file", error))?;
    for downgrade in &plan.downgrades {
        let (feature, what) = (downgrade.feature.name(), Escaped(downgrade.what.as_bytes()));
        context.debug(format_args!("the kernel lacks {feature}: {what}"));
    }
    let progress = context
        .output
        .progress(format!("loading {}", Escaped(object.name.as_bytes())));
    let loaded = plan.load(&options);
    drop(progress);
    match loaded {
        Ok(loaded) => {
            for note in plan.notes.iter().chain(loaded.notes()) {
                context.debug(format_args!("note: {}", Escaped(note.as_bytes())));
            }
            log::of_success(context, log, &loaded)?;
            Ok(loaded)
        }
        Err(error) => {
            let more = log::of_failure(context, log, &error)?;
            Err(failed("failed to load object file", error, more))
        }
    }
}

/// The failure for an object that does not fit a kernel.
pub(crate) fn cannot_plan(what: &str, error: PlanError) -> Failure {
    let advice = advice::for_plan(&error);
    let failure = Failure::because(what, error);
    match advice {
        Some(advice) => failure.with_hint(advice),
        None => failure,
    }
}

/// The failure for an answer of the kernel; `more` where the verifier said more than is shown.
fn failed(what: &str, error: KernelError, more: bool) -> Failure {
    let hint = error.hint().or_else(|| advice::for_kernel(&error));
    let lines = error
        .log()
        .map_or(0, |log: &VerifierLog| log.lines().count());
    let path = match &error {
        KernelError::Program(program) => program.path(),
        _ => None,
    };
    let path = path.map(|path| Escaped(path.as_bytes()).to_string());
    let failure = Failure::because(what, error);
    let hint = hint.or_else(|| {
        (more && lines > 1).then(|| {
            format!("the verifier wrote {lines} lines: -d shows them, `log FILE` keeps them")
        })
    });
    let hints: Vec<String> = path.into_iter().chain(hint).collect();
    if hints.is_empty() {
        return failure;
    }
    failure.with_hint(hints.join("; "))
}

fn pin_programs(
    context: &mut Context<'_, '_>,
    loaded: &Loaded,
    path: &Path,
    which: Which,
    mut attached: Option<&mut Links>,
    new: &mut NewPins,
) -> Result<()> {
    let programs = match which {
        Which::First => loaded.programs().get(..1),
        Which::All => Some(loaded.programs()),
    };
    let programs = programs.unwrap_or_default();
    if programs.is_empty() && which == Which::First {
        return Err(
            Failure::new("object file doesn't contain any bpf program").with_hint(
                "programs of sections that begin with '?' are loaded only if `only` names them",
            ),
        );
    }
    if which == Which::All {
        pin::directory(new, path)?;
    }
    for program in programs {
        let path = match which {
            Which::First => path.to_path_buf(),
            Which::All => path.join(program.name()),
        };
        if let Some(links) = &mut attached {
            attach::attach(context, loaded, program, path, new, links)?;
        } else if let Some(fd) = program.fd() {
            pin::pin(new, fd, path)?;
        }
    }
    Ok(())
}

fn pin_maps(loaded: &mut Loaded, dir: &Path) -> Result<()> {
    loaded
        .pin_maps(dir)
        .map_err(|error| failed("failed to pin all maps", error, false))
}
