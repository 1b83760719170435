//! LINK_CREATE, LINK_UPDATE and LINK_DETACH.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::prog_attach::Anchor;
use super::{c_path, count32};
use crate::error::{Refusal, SysError};
use crate::fd::{LinkFd, MapFd, ProgFd};
use crate::sys::bpf::{bpf_fd, bpf_unit};
use crate::sys::fd::number;
use crate::uapi::UserPtr;
use crate::uapi::attr::{
    IterCgroupInfo, IterMapInfo, IterTaskInfo, LinkCreateArgs, LinkCreateAttr, LinkDetachAttr,
    LinkIterArm, LinkKprobeMultiArm, LinkMprogArm, LinkNetfilterArm, LinkPerfEventArm,
    LinkTracingArm, LinkTracingMultiArm, LinkUpdateAttr, LinkUprobeMultiArm,
};
use crate::uapi::enums::{AttachType, CgroupIterOrder, Cmd};
use crate::uapi::flags::{AttachFlags, KprobeMultiFlags, NetfilterFlags, UprobeMultiFlags};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use zerocopy::IntoBytes;

const CMD: Cmd = Cmd::LINK_CREATE;

/// What a link attaches its program to, and how. Which one fits follows from the program's type.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
pub enum LinkTarget<'a> {
    /// A cgroup. Since Linux 5.7; anchors since 6.17.
    Cgroup {
        cgroup: BorrowedFd<'a>,
        attach_type: AttachType,
        anchor: Option<Anchor<'a>>,
        expected_revision: u64,
    },
    /// A kernel function, BTF tracepoint, security hook, or (with `target`) another program's
    /// function, in place of what was given at load. Since Linux 5.10; cookies since 5.19.
    Tracing {
        attach_type: AttachType,
        target: Option<(&'a ProgFd, u32)>,
        cookie: u64,
    },
    /// An iterator. Since Linux 5.8.
    Iter(IterTargetSpec<'a>),
    /// A network namespace, for flow dissectors and socket lookup. Since Linux 5.8.
    Netns {
        netns: BorrowedFd<'a>,
        attach_type: AttachType,
    },
    /// A socket map. Since Linux 6.10.
    Sockmap {
        map: &'a MapFd,
        attach_type: AttachType,
    },
    /// The receive path of an interface; `flags` are the `XDP_FLAGS_*` of rtnetlink. Since Linux
    /// 5.9.
    Xdp { ifindex: u32, flags: u32 },
    /// The traffic control path of an interface. Since Linux 6.6.
    Tcx {
        ifindex: u32,
        attach_type: AttachType,
        anchor: Option<Anchor<'a>>,
        expected_revision: u64,
    },
    /// A netkit device. Since Linux 6.7.
    Netkit {
        ifindex: u32,
        attach_type: AttachType,
        anchor: Option<Anchor<'a>>,
        expected_revision: u64,
    },
    /// A netfilter hook of a protocol family. Since Linux 6.4.
    Netfilter {
        pf: u32,
        hooknum: u32,
        priority: i32,
        flags: NetfilterFlags,
    },
    /// An open perf event: kprobe, uprobe, tracepoint or counter. Since Linux 5.15.
    PerfEvent { event: BorrowedFd<'a>, cookie: u64 },
    /// Many kernel functions. Cookies are as many as functions, or none. `session` runs the
    /// program at entry and return (since 6.10). Since Linux 5.18.
    KprobeMulti {
        functions: KprobeFunctions<'a>,
        cookies: &'a [u64],
        flags: KprobeMultiFlags,
        session: bool,
    },
    /// Many places of a file; the optional arrays are as long as `offsets`, or empty. Process 0
    /// is all. `session` runs the program at entry and return (since 6.13). Since Linux 6.6.
    UprobeMulti {
        path: &'a Path,
        offsets: &'a [u64],
        ref_ctr_offsets: &'a [u64],
        cookies: &'a [u64],
        flags: UprobeMultiFlags,
        pid: u32,
        session: bool,
    },
    /// Many kernel functions by trampoline, given by BTF ids; cookies are as many, or none. Since
    /// Linux 7.2.
    TracingMulti {
        attach_type: AttachType,
        ids: &'a [u32],
        cookies: &'a [u64],
    },
}

/// The functions of a kprobe_multi link.
#[derive(Clone, Copy, Debug)]
pub enum KprobeFunctions<'a> {
    /// By name.
    Symbols(&'a [&'a CStr]),
    /// By address.
    Addresses(&'a [u64]),
}

/// What an iterator is to walk.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
pub enum IterTargetSpec<'a> {
    /// All there is.
    All,
    /// The elements of a map. Since Linux 5.9.
    Map(&'a MapFd),
    /// A cgroup by its directory, or the root. Since Linux 6.1.
    Cgroup {
        cgroup: Option<BorrowedFd<'a>>,
        order: CgroupIterOrder,
    },
    /// A cgroup by its id. Since Linux 6.1.
    CgroupId { id: u64, order: CgroupIterOrder },
    /// One thread (`tid`), or one process by number or by pidfd. Since Linux 6.1; older kernels
    /// refuse a process, but take a lone thread without a word and walk all.
    Task {
        tid: u32,
        pid: u32,
        pid_fd: Option<BorrowedFd<'a>>,
    },
}

/// BPF_LINK_CREATE: attaches a program by a link, which lives as long as a descriptor or pin of
/// it. Since Linux 5.7.
///
/// Errors: `EINVAL` when program and target do not fit or the kernel does not know the kind,
/// `ENOENT` and `ESRCH` when there is no such target, `EBUSY` and `EEXIST` when it has a program,
/// `EPERM` without privilege, `EOPNOTSUPP` when the kernel is built without it.
#[doc(alias = "BPF_LINK_CREATE")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LinkCreate<'a> {
    what: What<'a>,
    flags: AttachFlags,
}

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Prog(&'a ProgFd, LinkTarget<'a>),
    StructOps(&'a MapFd),
}

/// What the kernel follows during the call.
#[derive(Default)]
struct Backing {
    symbols: Vec<usize>,
    path: Option<std::ffi::CString>,
    iter_info: Vec<u8>,
}

impl<'a> LinkCreate<'a> {
    /// Attaches `prog` to `target`.
    pub fn new(prog: &'a ProgFd, target: LinkTarget<'a>) -> Self {
        Self {
            what: What::Prog(prog, target),
            flags: AttachFlags::empty(),
        }
    }

    /// Registers the operations in a struct_ops map that was made with `BPF_F_LINK` and filled.
    /// Since Linux 6.4.
    pub fn struct_ops(map: &'a MapFd) -> Self {
        Self {
            what: What::StructOps(map),
            flags: AttachFlags::empty(),
        }
    }

    /// More flags, where the kind of link has any. Those that go with an anchor are set with it.
    pub fn flags(mut self, flags: AttachFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Makes the link.
    ///
    /// # Errors
    /// See the type; refused when arrays that go together differ in length.
    pub fn run(&self) -> Result<LinkFd, SysError> {
        let mut backing = Backing::default();
        let mut attr = LinkCreateAttr {
            flags: self.flags.bits(),
            ..Default::default()
        };
        match self.what {
            What::StructOps(map) => {
                attr.prog_fd = map.number();
                attr.attach_type = AttachType::STRUCT_OPS.0;
            }
            What::Prog(prog, target) => {
                attr.prog_fd = prog.number();
                target.encode(&mut attr, &mut backing)?;
            }
        }
        // SAFETY: pointers in `args` are null or backed by `self` or `backing`, and arrays are as
        // long as the count beside them. Which fields of `args` the kernel takes for pointers
        // depends on the program, so it may follow a number we meant as one; but it only reads
        // through them, from memory of this process, and answers EFAULT where there is none. It
        // writes nothing and returns a new descriptor, of a link.
        let result = unsafe { bpf_fd(CMD, &mut attr, None) };
        drop(backing);
        result.map(LinkFd::from_kernel)
    }
}

/// Refuses an optional array that is neither empty nor as long as the one it goes with.
fn same_len(len: usize, other: usize) -> Result<(), SysError> {
    if other == 0 || other == len {
        Ok(())
    } else {
        Err(SysError::cmd(CMD, Refusal::ArrayLength))
    }
}

fn mprog(
    attr: &mut LinkCreateAttr,
    target: u32,
    attach_type: AttachType,
    anchor: Option<Anchor<'_>>,
    expected_revision: u64,
) {
    let (flags, relative) = anchor.map_or((AttachFlags::empty(), 0), Anchor::encode);
    attr.target = target;
    attr.attach_type = attach_type.0;
    attr.flags |= flags.bits();
    attr.args = LinkCreateArgs::from_arm(&LinkMprogArm {
        relative,
        pad: 0,
        expected_revision,
    });
}

impl LinkTarget<'_> {
    fn encode(self, attr: &mut LinkCreateAttr, backing: &mut Backing) -> Result<(), SysError> {
        match self {
            Self::Cgroup {
                cgroup,
                attach_type,
                anchor,
                expected_revision,
            } => mprog(
                attr,
                number(&cgroup),
                attach_type,
                anchor,
                expected_revision,
            ),
            Self::Tcx {
                ifindex,
                attach_type,
                anchor,
                expected_revision,
            }
            | Self::Netkit {
                ifindex,
                attach_type,
                anchor,
                expected_revision,
            } => mprog(attr, ifindex, attach_type, anchor, expected_revision),
            Self::Tracing {
                attach_type,
                target,
                cookie,
            } => {
                let (target_fd, target_btf_id) =
                    target.map_or((0, 0), |(prog, id)| (prog.number(), id));
                attr.target = target_fd;
                attr.attach_type = attach_type.0;
                attr.args = LinkCreateArgs::from_arm(&LinkTracingArm {
                    target_btf_id,
                    pad: 0,
                    cookie,
                });
            }
            Self::Iter(spec) => {
                attr.attach_type = AttachType::TRACE_ITER.0;
                spec.encode(&mut backing.iter_info);
                attr.args = LinkCreateArgs::from_arm(&LinkIterArm {
                    iter_info: UserPtr::from_slice(&backing.iter_info),
                    iter_info_len: count32(CMD, backing.iter_info.len())?,
                    pad: 0,
                });
            }
            Self::Netns { netns, attach_type } => {
                attr.target = number(&netns);
                attr.attach_type = attach_type.0;
            }
            Self::Sockmap { map, attach_type } => {
                attr.target = map.number();
                attr.attach_type = attach_type.0;
            }
            Self::Xdp { ifindex, flags } => {
                attr.target = ifindex;
                attr.attach_type = AttachType::XDP.0;
                attr.flags |= flags;
            }
            Self::Netfilter {
                pf,
                hooknum,
                priority,
                flags,
            } => {
                attr.attach_type = AttachType::NETFILTER.0;
                attr.args = LinkCreateArgs::from_arm(&LinkNetfilterArm {
                    pf,
                    hooknum,
                    priority,
                    flags: flags.bits(),
                });
            }
            Self::PerfEvent { event, cookie } => {
                attr.target = number(&event);
                attr.attach_type = AttachType::PERF_EVENT.0;
                attr.args = LinkCreateArgs::from_arm(&LinkPerfEventArm { bpf_cookie: cookie });
            }
            Self::KprobeMulti {
                functions,
                cookies,
                flags,
                session,
            } => {
                attr.attach_type = if session {
                    AttachType::TRACE_KPROBE_SESSION.0
                } else {
                    AttachType::TRACE_KPROBE_MULTI.0
                };
                let mut arm = LinkKprobeMultiArm {
                    flags: flags.bits(),
                    cookies: UserPtr::from_slice(cookies),
                    ..Default::default()
                };
                let len = match functions {
                    KprobeFunctions::Symbols(names) => {
                        let address = |name: &&CStr| name.as_ptr().expose_provenance();
                        backing.symbols = names.iter().map(address).collect();
                        arm.syms = UserPtr::from_slice(&backing.symbols);
                        names.len()
                    }
                    KprobeFunctions::Addresses(addrs) => {
                        arm.addrs = UserPtr::from_slice(addrs);
                        addrs.len()
                    }
                };
                same_len(len, cookies.len())?;
                arm.cnt = count32(CMD, len)?;
                attr.args = LinkCreateArgs::from_arm(&arm);
            }
            Self::UprobeMulti {
                path,
                offsets,
                ref_ctr_offsets,
                cookies,
                flags,
                pid,
                session,
            } => {
                attr.attach_type = if session {
                    AttachType::TRACE_UPROBE_SESSION.0
                } else {
                    AttachType::TRACE_UPROBE_MULTI.0
                };
                same_len(offsets.len(), ref_ctr_offsets.len())?;
                same_len(offsets.len(), cookies.len())?;
                let path = backing.path.insert(c_path(CMD, path)?);
                attr.args = LinkCreateArgs::from_arm(&LinkUprobeMultiArm {
                    path: UserPtr::from_cstr(path),
                    offsets: UserPtr::from_slice(offsets),
                    ref_ctr_offsets: UserPtr::from_slice(ref_ctr_offsets),
                    cookies: UserPtr::from_slice(cookies),
                    cnt: count32(CMD, offsets.len())?,
                    flags: flags.bits(),
                    pid,
                    path_fd: 0,
                });
            }
            Self::TracingMulti {
                attach_type,
                ids,
                cookies,
            } => {
                attr.attach_type = attach_type.0;
                same_len(ids.len(), cookies.len())?;
                attr.args = LinkCreateArgs::from_arm(&LinkTracingMultiArm {
                    ids: UserPtr::from_slice(ids),
                    cookies: UserPtr::from_slice(cookies),
                    cnt: count32(CMD, ids.len())?,
                    pad: 0,
                });
            }
        }
        Ok(())
    }
}

impl IterTargetSpec<'_> {
    fn encode(self, info: &mut Vec<u8>) {
        let fd = |fd: Option<BorrowedFd<'_>>| fd.map_or(0, |fd| number(&fd));
        match self {
            Self::All => {}
            Self::Map(map) => {
                let map_fd = map.number();
                info.extend_from_slice(IterMapInfo { map_fd }.as_bytes());
            }
            Self::Cgroup { cgroup, order } => {
                let cgroup = IterCgroupInfo {
                    order: order.0,
                    cgroup_fd: fd(cgroup),
                    cgroup_id: 0,
                };
                info.extend_from_slice(cgroup.as_bytes());
            }
            Self::CgroupId { id, order } => {
                let cgroup = IterCgroupInfo {
                    order: order.0,
                    cgroup_fd: 0,
                    cgroup_id: id,
                };
                info.extend_from_slice(cgroup.as_bytes());
            }
            Self::Task { tid, pid, pid_fd } => {
                let task = IterTaskInfo {
                    tid,
                    pid,
                    pid_fd: fd(pid_fd),
                };
                info.extend_from_slice(task.as_bytes());
            }
        }
    }
}

/// BPF_LINK_UPDATE: swaps the program of a link, or the map of a struct_ops link. Since Linux
/// 5.7; maps since 6.4.
///
/// Errors: `EPERM` when the link does not have the program expected, `ENOLINK` when it has been
/// detached, `EINVAL` when the program does not fit or the kind of link has no update.
#[doc(alias = "BPF_LINK_UPDATE")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LinkUpdate<'a> {
    link: &'a LinkFd,
    new: BorrowedFd<'a>,
    old: Option<BorrowedFd<'a>>,
    flags: AttachFlags,
}

impl<'a> LinkUpdate<'a> {
    /// Lets `prog` take over.
    pub fn new(link: &'a LinkFd, prog: &'a ProgFd) -> Self {
        Self {
            link,
            new: prog.as_fd(),
            old: None,
            flags: AttachFlags::empty(),
        }
    }

    /// Lets the operations in `map` take over.
    pub fn with_map(link: &'a LinkFd, map: &'a MapFd) -> Self {
        Self {
            link,
            new: map.as_fd(),
            old: None,
            flags: AttachFlags::empty(),
        }
    }

    /// Only if this program runs now.
    pub fn expect_prog(mut self, prog: &'a ProgFd) -> Self {
        self.old = Some(prog.as_fd());
        self.flags |= AttachFlags::REPLACE;
        self
    }

    /// Only if these operations are registered now.
    pub fn expect_map(mut self, map: &'a MapFd) -> Self {
        self.old = Some(map.as_fd());
        self.flags |= AttachFlags::REPLACE;
        self
    }

    /// More flags.
    pub fn flags(mut self, flags: AttachFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = LinkUpdateAttr {
            link_fd: self.link.number(),
            new_fd: number(&self.new),
            flags: self.flags.bits(),
            old_fd: self.old.map_or(0, |fd| number(&fd)),
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0.
        unsafe { bpf_unit(Cmd::LINK_UPDATE, &mut attr) }
    }
}

/// BPF_LINK_DETACH: takes a link from its hook while descriptors and pins of it remain. Since
/// Linux 5.9.
///
/// Errors: `EOPNOTSUPP` when the kind of link cannot, such as iterators and tracing links.
#[doc(alias = "BPF_LINK_DETACH")]
#[derive(Clone, Copy, Debug)]
pub struct LinkDetach<'a> {
    link: &'a LinkFd,
}

impl<'a> LinkDetach<'a> {
    /// Detaches `link`.
    #[must_use]
    pub fn new(link: &'a LinkFd) -> Self {
        Self { link }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = LinkDetachAttr {
            link_fd: self.link.number(),
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0.
        unsafe { bpf_unit(Cmd::LINK_DETACH, &mut attr) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_that_go_together_are_of_one_length() {
        let mut attr = LinkCreateAttr::default();
        let mut backing = Backing::default();
        let target = LinkTarget::KprobeMulti {
            functions: KprobeFunctions::Symbols(&[c"a", c"b"]),
            cookies: &[1],
            flags: KprobeMultiFlags::empty(),
            session: false,
        };
        let error = target.encode(&mut attr, &mut backing).unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::ArrayLength));
    }

    #[test]
    fn anchors_reach_flags_and_args() {
        let mut attr = LinkCreateAttr::default();
        let target = LinkTarget::Tcx {
            ifindex: 3,
            attach_type: AttachType::TCX_INGRESS,
            anchor: Some(Anchor::BeforeProgId(crate::ProgId::new(5).unwrap())),
            expected_revision: 9,
        };
        target.encode(&mut attr, &mut Backing::default()).unwrap();
        assert_eq!((attr.target, attr.attach_type, attr.flags), (3, 46, 8 | 32));
        let arm = attr.args.as_bytes();
        assert_eq!(arm[..4], 5u32.to_ne_bytes());
        assert_eq!(arm[8..16], 9u64.to_ne_bytes());
    }

    #[test]
    fn iter_info_has_exact_length() {
        let len = |spec: IterTargetSpec<'_>| {
            let mut info = Vec::new();
            spec.encode(&mut info);
            info.len()
        };
        assert_eq!(len(IterTargetSpec::All), 0);
        let order = CgroupIterOrder::SELF_ONLY;
        assert_eq!(len(IterTargetSpec::CgroupId { id: 1, order }), 16);
        let task = IterTargetSpec::Task {
            tid: 0,
            pid: 1,
            pid_fd: None,
        };
        assert_eq!(len(task), 12);
    }
}
