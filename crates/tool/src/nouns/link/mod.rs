//! `link`: what holds programs to their hooks.

pub mod act;
pub mod gather;
pub mod perf;
pub mod text;
pub mod view;

#[cfg(test)]
mod tests;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::handle;
use crate::render::View;
use crate::words::Words;

/// The commands of `link`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "link",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("pin", act::pin),
        Command::new("detach", act::detach),
    ],
    usage: "\
Usage: rbpftool link { show | list } [LINK]
       rbpftool link pin LINK FILE
       rbpftool link detach LINK
       rbpftool link help

       LINK    := { id LINK_ID | pinned FILE }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} }
",
};

fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let link = match words.len() {
        0 => None,
        2 => Some(handle::open_link(&mut words)?),
        _ => return words.end(),
    };
    let mut gatherer = gather::Gatherer::new(context.kernel, context.options.bpffs);
    let output = &mut *context.output;
    if let Some(link) = link {
        return output.show(&gatherer.link(&link)?);
    }
    let mut count = 0_usize;
    if output.is_json() {
        let mut views = Vec::new();
        gatherer.all(|view| {
            views.push(view);
            Ok(())
        })?;
        count = views.len();
        output.show_all(&views)?;
    } else {
        gatherer.all(|view| {
            count += 1;
            Ok(view.text(output.text())?)
        })?;
    }
    if count == 0 {
        output.remark("no BPF links exist");
    }
    Ok(())
}
