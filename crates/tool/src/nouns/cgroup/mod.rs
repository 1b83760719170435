//! `cgroup`: programs of cgroups.

pub mod act;
pub mod args;
pub mod gather;
mod text;
pub mod view;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::words::Words;

use view::ProgramsView;

/// The commands of `cgroup`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "cgroup",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("tree", tree),
        Command::new("attach", act::attach),
        Command::new("detach", act::detach),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool cgroup { show | list } CGROUP [effective]
       rbpftool cgroup tree [CGROUP_ROOT [effective]]
       rbpftool cgroup attach CGROUP ATTACH_TYPE PROG [multi] [override] [preorder]
                            [replace PROG] [{ before | after } PROG]
       rbpftool cgroup detach CGROUP ATTACH_TYPE PROG
       rbpftool cgroup help

       PROG := { id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned FILE }
       ATTACH_TYPE := { cgroup_inet_ingress | cgroup_inet_egress | cgroup_inet_sock_create |
                        cgroup_inet_sock_release | cgroup_inet4_bind | cgroup_inet6_bind |
                        cgroup_inet4_post_bind | cgroup_inet6_post_bind |
                        cgroup_inet4_connect | cgroup_inet6_connect | cgroup_unix_connect |
                        cgroup_inet4_getpeername | cgroup_inet6_getpeername |
                        cgroup_unix_getpeername | cgroup_inet4_getsockname |
                        cgroup_inet6_getsockname | cgroup_unix_getsockname |
                        cgroup_udp4_sendmsg | cgroup_udp6_sendmsg | cgroup_unix_sendmsg |
                        cgroup_udp4_recvmsg | cgroup_udp6_recvmsg | cgroup_unix_recvmsg |
                        cgroup_sock_ops | cgroup_device | cgroup_sysctl |
                        cgroup_getsockopt | cgroup_setsockopt | lsm_cgroup }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};

/// `cgroup { show | list } CGROUP [effective]`
fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(1)?;
    let path = words.take_path("a cgroup")?;
    let effective = args::effective(&mut words)?;
    let programs = gather::programs(path, effective)?;
    context.output.show(&ProgramsView(programs))
}

/// `cgroup tree [CGROUP_ROOT [effective]]`
fn tree(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let root = (!words.is_empty()).then(|| words.take_path("a cgroup"));
    let root = root.transpose()?;
    let effective = args::effective(&mut words)?;
    let view = gather::tree(context.kernel, root, effective)?;
    context.output.show(&view)
}
