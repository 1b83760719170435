//! Programs: functions that the kernel can call.

use super::FuncIdx;
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{AttachType, ProgFd, ProgType};
use btf::Btf;
use std::sync::Arc;

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The symbol of its function, of which the kernel keeps 15 bytes.
    pub name: String,
    /// Its function.
    pub func: FuncIdx,
    /// Name of its section without the mark `?`.
    pub section: String,
    /// Type; [`ProgType::UNSPEC`] where the section's name says none.
    pub prog_type: ProgType,
    /// The hook it is for, where the verifier must know.
    pub expected_attach_type: AttachType,
    /// Whether kernels that know no attach type may get the program without (`expected_attach_type`
    /// is then 0 or left out).
    pub attach_type_optional: bool,
    /// Flags of the load.
    pub flags: ProgLoadFlags,
    /// Whether the object's load loads it.
    pub autoload: bool,
    /// What it attaches to, as far as the load must know.
    pub attach_to: AttachTo,
    /// Whether the attach type becomes that of uprobe_multi where the kernel has it (USDT).
    pub usdt: bool,
    /// The interface it is bound or offloaded to; 0 for none.
    pub ifindex: u32,
    /// The function that runs after an exception (`exception_callback:NAME`).
    pub exception_callback: Option<FuncIdx>,
    /// Level of the verifier's log for this program, when it differs from the load's.
    pub log_level: Option<u32>,
}

/// What a program attaches to, as far as its load must know.
#[derive(Clone, Debug, Default)]
pub enum AttachTo {
    /// Nothing at load time.
    #[default]
    None,
    /// A BTF type is needed and none is named (`SEC("fentry")` alone, `SEC("freplace/…")` before
    /// the program is known).
    Missing,
    /// A function, hook, tracepoint or iterator of the kernel, named without its BTF prefix.
    Kernel {
        /// The module that must have it, when the section says so; `vmlinux` for the kernel proper.
        module: Option<String>,
        /// The name: `tcp_connect`, `file_open`, `sched_switch`, `task`.
        name: String,
    },
    /// Functions of the module, for the `.multi` kinds: the module is resolved at load time, the
    /// functions when it is attached.
    Module(String),
    /// A loaded program.
    Prog {
        /// Its descriptor.
        prog: Arc<ProgFd>,
        /// Its types.
        btf: Arc<Btf<'static>>,
        /// The function in it; its first where none is named.
        func: Option<String>,
    },
}
