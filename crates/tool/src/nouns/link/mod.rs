//! `link`: what holds programs to their hooks.

pub mod act;
mod create;
mod fdinfo;
pub mod gather;
pub mod perf;
pub mod text;
pub mod view;

#[cfg(test)]
mod tests;

use bpfsys::LinkType;

use crate::command::{Command, Context, Noun};
use crate::failure::{Failure, Result};
use crate::handle::{self, ProgHandle};
use crate::nouns::NameOrNumber;
use crate::words::{Words, shown};

/// The commands of `link`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "link",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("pin", act::pin),
        Command::new("detach", act::detach),
        // bpftool's come first, so that they are shortened alike
        Command::new("create", create::run),
        Command::new("update", act::update),
    ],
    usage: "\
Usage: rbpftool link { show | list } [{ LINK | prog PROG | type TYPE }]
       rbpftool link pin LINK FILE
       rbpftool link detach LINK
       rbpftool link create PLACE prog PROG pin FILE [cookie N]
       rbpftool link create struct_ops MAP pin FILE
       rbpftool link update LINK PROG [old PROG]
       rbpftool link update LINK map MAP [old MAP]
       rbpftool link help

       LINK    := { id LINK_ID | pinned FILE }
       PROG    := { id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned FILE }
       MAP     := { id MAP_ID | name MAP_NAME | pinned FILE }
       TYPE    := { raw_tracepoint | tracing | cgroup | iter | netns | xdp | perf_event |
                    kprobe_multi | struct_ops | netfilter | tcx | uprobe_multi | netkit |
                    sockmap | tracing_multi }
       PLACE   := { xdp dev NAME [generic | driver | offload] |
                    tcx dev NAME { ingress | egress } [ORDER] |
                    netkit dev NAME { primary | peer } [ORDER] |
                    cgroup CGROUP ATTACH_TYPE [preorder] [{ before | after } LINK] |
                    netns { current | pid PID | FILE } { sk_lookup | flow_dissector } |
                    netfilter { ipv4 | ipv6 } HOOK [priority N] [defrag] |
                    sockmap MAP ATTACH_TYPE |
                    raw_tp NAME | tracepoint CATEGORY/NAME |
                    tracing [target PROG func NAME] | tracing_multi [MODULE:]PATTERN |
                    kprobe FUNC[+OFFSET] [return] | ksyscall NAME [return] |
                    kprobe_multi [MODULE:]PATTERN [return | session] |
                    uprobe FILE FUNC[+OFFSET] [return] [pid PID] |
                    uprobe_multi FILE PATTERN [return | session] [pid PID] |
                    usdt FILE PROVIDER:NAME [pid PID] |
                    perf_event EVENT { period N | frequency N } { cpu N | pid PID [inherit] } |
                    iter [{ map MAP | tid TID | pid PID | cgroup CGROUP [order ORDER] }] }
       ORDER   := [{ prepend | before PROG | after PROG }] [revision N]
       EVENT   := { software NAME | hardware NAME | hw-cache NAME | raw CONFIG |
                    breakpoint ADDRESS LEN { r | w | rw | x } | COUNTER CONFIG }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} }
",
};

fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let mut only = Only::All;
    let link = match words.len() {
        0 => None,
        2 if words.accept("type") => {
            only = Only::Type(link_type(&mut words)?);
            None
        }
        3 if words.accept("prog") => {
            only = Only::Progs(programs(&mut words)?);
            None
        }
        2 => Some(handle::open_link(&mut words)?),
        _ => return words.end(),
    };
    let (kernel, with_pins) = (context.kernel, context.options.bpffs);
    let output = &mut *context.output;
    let Some(link) = link else {
        let mut views = gather::gather(kernel, with_pins, gather::all())?;
        views.retain(|view| only.shows(view));
        output.show_all(&views)?;
        if views.is_empty() {
            output.remark("no BPF links exist");
        }
        return Ok(());
    };
    output.show_selected(&gather::gather(kernel, with_pins, [Ok(link)])?)
}

/// Which links are shown.
enum Only {
    All,
    /// Those of a type.
    Type(LinkType),
    /// Those of these programs.
    Progs(Vec<u32>),
}

impl Only {
    fn shows(&self, view: &view::LinkView) -> bool {
        match self {
            Self::All => true,
            Self::Type(kind) => view.r#type == NameOrNumber::new(kind.name(), kind.0),
            Self::Progs(ids) => ids.contains(&view.prog_id),
        }
    }
}

/// Reads the name of a type of links.
fn link_type(words: &mut Words<'_>) -> Result<LinkType> {
    let word = words.take("a type of links")?;
    let mut all = LinkType::ALL.iter().filter(|own| **own != LinkType::UNSPEC);
    all.find(|own| own.name().is_some_and(|name| word == name))
        .copied()
        .ok_or_else(|| {
            Failure::new(format_args!("links have no type '{}'", shown(word)))
                .with_hint("`rbpftool link help` lists them")
        })
}

/// Reads a handle of programs, for their ids.
fn programs(words: &mut Words<'_>) -> Result<Vec<u32>> {
    let progs = ProgHandle::parse(words)?.open_all()?;
    let ids = progs.iter().map(|prog| Ok(prog.info()?.id));
    ids.collect::<std::result::Result<_, _>>()
        .map_err(|error: bpfsys::SysError| Failure::because("can't get prog info", error))
}
