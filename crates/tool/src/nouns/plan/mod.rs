//! `plan`: what loading an object would ask of a kernel, without asking.

pub mod gather;
mod text;
pub mod view;

use loader::relocate::{LoadPlan, PlanOptions};
use loader::target::{Described, Running, Target};

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::nouns::btf::source;
use crate::nouns::prog::load::args::{BTF, Edits};
use crate::nouns::prog::load::{cannot_plan, edit};
use crate::words::{Words, shown};

/// `plan OBJ [btf FILE] …`
pub fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(1)?;
    let path = words.take_path("an object file")?;
    let mut edits = Edits::default();
    while let Some(word) = words.peek() {
        if !edits.accept(&mut words, BTF)? {
            return Err(Failure::new(format_args!(
                "expected no more arguments, 'type', 'btf', 'only', 'set', 'target' or \
                 'kconfig', got: '{}'?",
                shown(word)
            )));
        }
    }
    let mut object = edit::open(path, context.options)?;
    edit::apply(&mut object, &edits)?;
    let kconfig = edit::kconfig(&edits)?;
    let target: Box<dyn Target> = match edits.kernel_btf {
        None => Box::new(Running::new()),
        Some(file) => {
            let mut kernel = Described::of(source::read(file, None)?);
            // a configuration that is given is all of it
            kernel.kconfig = kconfig.is_some().then(Default::default);
            Box::new(kernel)
        }
    };
    let options = PlanOptions {
        kconfig,
        explain: true,
        ..PlanOptions::default()
    };
    let plan = LoadPlan::new(&object, &*target, &options)
        .map_err(|error| cannot_plan("failed to plan the load", error))?;
    let view = gather::view(&plan);
    context.output.show(&text::Shown {
        plan: &plan,
        view: &view,
    })
}
