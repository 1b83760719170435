//! `prog`: programs.

pub mod act;
pub mod args;
mod attach;
pub mod dump;
pub mod gather;
pub mod load;
pub mod profile;
mod text;
mod tracelog;
pub mod view;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::handle::ProgHandle;
use crate::words::Words;

/// The commands of `prog`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "prog",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("dump", dump::run),
        Command::new("pin", act::pin),
        Command::new("load", load::one),
        Command::new("loadall", load::all),
        Command::new("attach", attach::attach),
        Command::new("detach", attach::detach),
        Command::new("tracelog", tracelog::run),
        Command::new("run", act::run),
        Command::new("profile", profile::run),
    ],
    usage: "\
Usage: rbpftool prog { show | list } [PROG]
       rbpftool prog dump xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]
       rbpftool prog dump jited  PROG [{ file FILE | [opcodes] [linum] }]
       rbpftool prog pin   PROG FILE
       rbpftool prog { load | loadall } OBJ PATH \\
                         [type TYPE] [{ offload_dev | xdpmeta_dev } NAME] \\
                         [map { idx IDX | name NAME } MAP] [pinmaps MAP_DIR] \\
                         [autoattach] [kernel_btf BTF_FILE] [kconfig FILE] \\
                         [only NAME[,NAME...]] [set VAR=VALUE] [target TARGET] \\
                         [log { LEVEL | FILE }]
       rbpftool prog attach PROG ATTACH_TYPE [link FILE] [PLACE]
       rbpftool prog detach PROG ATTACH_TYPE [PLACE]
       rbpftool prog tracelog [{ stdout | stderr } PROG]
       rbpftool prog run PROG \\
                       data_in FILE \\
                       [data_out FILE [data_size_out L]] \\
                       [ctx_in FILE [ctx_out FILE [ctx_size_out M]]] \\
                       [repeat N]
       rbpftool prog profile PROG [duration SECONDS] METRIC...
       rbpftool prog help

       MAP  := { id MAP_ID | name MAP_NAME | pinned FILE }
       PROG := { id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned FILE }
       ATTACH_TYPE := { sk_msg_verdict | sk_skb_verdict | sk_skb_stream_verdict |
                        sk_skb_stream_parser | flow_dissector | sk_lookup | cgroup_... |
                        lsm_cgroup | tcx_... | netkit_... | xdp | netfilter | lirc_mode2 |
                        trace_... | ... }
       PLACE := { MAP | cgroup CGROUP [multi] [override] [preorder] [...] |
                  dev NAME [prepend] [...] | dev NAME [generic | driver | offload] |
                  netns FILE | { ipv4 | ipv6 } HOOK [priority N] [defrag] | device FILE }
       TYPE := { socket | tc | xdp | kprobe | tracepoint | raw_tp | cgroup/connect4 |
                 fentry | freplace | lsm | struct_ops | syscall | ... }
       METRIC := { cycles | instructions | l1d_loads | llc_misses | itlb_misses |
                   dtlb_misses | cpu_clock | task_clock | page_faults }
       TARGET := { FUNC | func FUNC | prog PROG [func FUNC] }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} |
                    {-m|--mapcompat} | {-L|--use-loader} |
                    {-S|--sign} {-k KEY} {-i CERTIFICATE} }
",
};

fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let handle = match words.len() {
        0 => None,
        2 => Some(ProgHandle::parse(&mut words)?),
        _ => return words.end(),
    };
    let style = context.value_style();
    let (kernel, with_pins) = (context.kernel, context.options.bpffs);
    let output = &mut *context.output;
    let Some(handle) = handle else {
        let views = gather::gather(kernel, with_pins, || gather::all(style))?;
        output.show_all(&views)?;
        if views.is_empty() {
            output.remark("no BPF programs are loaded");
        }
        return Ok(());
    };
    let progs = handle.open_all()?.into_iter().map(Ok);
    let views = gather::gather(kernel, with_pins, || gather::these(progs, style))?;
    output.show_selected(&views)
}
