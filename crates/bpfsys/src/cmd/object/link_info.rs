//! What the kernel says about a link.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::{CMD, c_bytes, get_info};
use crate::cmd::count32;
use crate::error::{ErrorKind, Refusal, SysError};
use crate::fd::LinkFd;
use crate::ids::{LinkId, MapId, ProgId};
use crate::uapi::UserPtr;
use crate::uapi::enums::{AttachType, LinkType, PerfEventType};
use crate::uapi::info::{
    LinkBody, LinkCgroupBody, LinkInfoRaw, LinkIterBody, LinkIterTaskBody, LinkKprobeMultiBody,
    LinkNetfilterBody, LinkPairBody, LinkPerfEventBody, LinkPerfKprobeBody, LinkPerfTracepointBody,
    LinkPerfUprobeBody, LinkRawTracepointBody, LinkTracingBody, LinkTracingMultiBody,
    LinkUprobeMultiBody,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A link, what runs through it and where.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LinkDetails {
    /// The link's id.
    pub id: LinkId,
    /// The link's type.
    pub type_: LinkType,
    /// The program; none for struct_ops links.
    pub prog_id: Option<ProgId>,
    /// What depends on the type.
    pub kind: LinkKind,
}

/// What a link says beyond its program, by type.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
pub enum LinkKind {
    /// On a tracepoint, without a perf event.
    RawTracepoint { name: Vec<u8>, cookie: u64 },
    /// On a kernel function, another program, or a hook of the security modules.
    Tracing {
        attach_type: AttachType,
        target_obj_id: u32,
        target_btf_id: u32,
        cookie: u64,
    },
    /// On a cgroup.
    Cgroup {
        cgroup_id: u64,
        attach_type: AttachType,
    },
    /// An iterator.
    Iter {
        target_name: Vec<u8>,
        target: IterTarget,
    },
    /// On a network namespace.
    Netns {
        netns_ino: u32,
        attach_type: AttachType,
    },
    /// On the receive path of an interface; interface 0 when that is gone.
    Xdp { ifindex: u32 },
    /// On a perf event.
    PerfEvent(PerfEventLink),
    /// On many kernel functions. Cookies go with the addresses; addresses are 0 where the kernel
    /// hides them.
    KprobeMulti {
        flags: u32,
        missed: u64,
        count: u32,
        addrs: Vec<u64>,
        cookies: Vec<u64>,
    },
    /// A registered set of operations.
    StructOps { map_id: Option<MapId> },
    /// On a netfilter hook.
    Netfilter {
        pf: u32,
        hooknum: u32,
        priority: i32,
        flags: u32,
    },
    /// On the traffic control path of an interface.
    Tcx {
        ifindex: u32,
        attach_type: AttachType,
    },
    /// On many places of a file. The three arrays have one element per place.
    UprobeMulti {
        path: Vec<u8>,
        offsets: Vec<u64>,
        ref_ctr_offsets: Vec<u64>,
        cookies: Vec<u64>,
        count: u32,
        flags: u32,
        pid: u32,
    },
    /// On a netkit device.
    Netkit {
        ifindex: u32,
        attach_type: AttachType,
    },
    /// On a socket map.
    Sockmap {
        map_id: u32,
        attach_type: AttachType,
    },
    /// On many kernel functions by trampoline.
    TracingMulti {
        attach_type: AttachType,
        count: u32,
        btf_obj_id: u32,
        ids: Vec<u32>,
        addrs: Vec<u64>,
        cookies: Vec<u64>,
    },
    /// A type this crate does not know, or nothing to tell.
    Other,
}

/// What an iterator is limited to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
pub enum IterTarget {
    /// Nothing.
    None,
    /// The elements of a map.
    MapElem { map_id: u32 },
    /// A cgroup and how its tree is walked.
    Cgroup { cgroup_id: u64, order: u32 },
    /// A thread or a process; 0 for any.
    Task { tid: u32, pid: u32 },
}

/// The event of a perf-event link.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
pub enum PerfEventLink {
    /// A place in a file.
    Uprobe {
        retprobe: bool,
        file: Vec<u8>,
        offset: u32,
        cookie: u64,
        ref_ctr_offset: u64,
    },
    /// A place in the kernel.
    Kprobe {
        retprobe: bool,
        func: Vec<u8>,
        offset: u32,
        addr: u64,
        missed: u64,
        cookie: u64,
    },
    /// A tracepoint.
    Tracepoint { name: Vec<u8>, cookie: u64 },
    /// Any other event.
    Event {
        type_: u32,
        config: u64,
        cookie: u64,
    },
    /// An event the kernel tells nothing about: older than 6.6, or of a kind unknown here.
    Unknown(u32),
}

/// Longest path the kernel tells.
const PATH_MAX: usize = 4096;

impl LinkFd {
    /// BPF_OBJ_GET_INFO_BY_FD of a link. Since Linux 5.8.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the kernel cannot describe the link's event.
    #[doc(alias = "BPF_OBJ_GET_INFO_BY_FD")]
    pub fn info(&self) -> Result<LinkDetails, SysError> {
        let info = self.raw_info()?;
        let kind = self.kind(&info)?;
        Ok(LinkDetails {
            id: info.id().ok_or(SysError::cmd(CMD, Refusal::BadAnswer))?,
            type_: info.type_(),
            prog_id: ProgId::new(info.prog_id),
            kind,
        })
    }

    /// The numbers only, in one call.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub fn raw_info(&self) -> Result<LinkInfoRaw, SysError> {
        let mut info = LinkInfoRaw::default();
        // SAFETY: a `LinkFd` is a link, and all pointers are null.
        unsafe { get_info(self.number(), &mut info) }?;
        Ok(info)
    }

    /// Asks again, with buffers.
    ///
    /// # Safety
    /// `arm` is what the kernel takes the union for in a link of this type, which never changes;
    /// its pointers are null or hold room for as much as the counts beside them say.
    unsafe fn fill<T>(&self, arm: &T) -> Result<T, SysError>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let mut info = LinkInfoRaw {
            body: LinkBody::from_arm(arm),
            ..Default::default()
        };
        // SAFETY: a `LinkFd` is a link; the caller answers for the pointers.
        unsafe { get_info(self.number(), &mut info) }.map_err(|error| match error.kind() {
            // Names and lists of links do not change once their length has been told.
            ErrorKind::NoSpace => SysError::cmd(CMD, Refusal::KeepsChanging),
            _ => error,
        })?;
        Ok(info.body.arm())
    }

    fn kind(&self, info: &LinkInfoRaw) -> Result<LinkKind, SysError> {
        let body = &info.body;
        let pair: LinkPairBody = body.arm();
        let attach_type = AttachType(pair.attach_type);
        Ok(match info.type_() {
            LinkType::RAW_TRACEPOINT => self.raw_tracepoint(body)?,
            LinkType::TRACING => {
                let arm: LinkTracingBody = body.arm();
                LinkKind::Tracing {
                    attach_type: AttachType(arm.attach_type),
                    target_obj_id: arm.target_obj_id,
                    target_btf_id: arm.target_btf_id,
                    cookie: arm.cookie,
                }
            }
            LinkType::CGROUP => {
                let arm: LinkCgroupBody = body.arm();
                LinkKind::Cgroup {
                    cgroup_id: arm.cgroup_id,
                    attach_type: AttachType(arm.attach_type),
                }
            }
            LinkType::ITER => self.iter(body)?,
            LinkType::NETNS => LinkKind::Netns {
                netns_ino: pair.first,
                attach_type,
            },
            LinkType::XDP => LinkKind::Xdp {
                ifindex: pair.first,
            },
            LinkType::PERF_EVENT => LinkKind::PerfEvent(self.perf_event(body)?),
            LinkType::KPROBE_MULTI => self.kprobe_multi(body)?,
            LinkType::STRUCT_OPS => LinkKind::StructOps {
                map_id: MapId::new(pair.first),
            },
            LinkType::NETFILTER => {
                let arm: LinkNetfilterBody = body.arm();
                LinkKind::Netfilter {
                    pf: arm.pf,
                    hooknum: arm.hooknum,
                    priority: arm.priority,
                    flags: arm.flags,
                }
            }
            LinkType::TCX => LinkKind::Tcx {
                ifindex: pair.first,
                attach_type,
            },
            LinkType::UPROBE_MULTI => self.uprobe_multi(body)?,
            LinkType::NETKIT => LinkKind::Netkit {
                ifindex: pair.first,
                attach_type,
            },
            LinkType::SOCKMAP => LinkKind::Sockmap {
                map_id: pair.first,
                attach_type,
            },
            LinkType::TRACING_MULTI => self.tracing_multi(body)?,
            _ => LinkKind::Other,
        })
    }

    fn raw_tracepoint(&self, body: &LinkBody) -> Result<LinkKind, SysError> {
        let mut arm: LinkRawTracepointBody = body.arm();
        let mut name = vec![0; arm.tp_name_len as usize];
        if !name.is_empty() {
            arm.tp_name = UserPtr::from_mut_slice(&mut name);
            // SAFETY: the arm of a raw tracepoint link; the kernel writes `tp_name_len` bytes to
            // `tp_name` at most, which is the length of `name`.
            arm = unsafe { self.fill(&arm) }?;
        }
        Ok(LinkKind::RawTracepoint {
            name: c_bytes(name),
            cookie: arm.cookie,
        })
    }

    fn iter(&self, body: &LinkBody) -> Result<LinkKind, SysError> {
        let first: LinkIterBody = body.arm();
        let mut name = vec![0; first.target_name_len as usize];
        let mut body = *body;
        if !name.is_empty() {
            let arm = LinkIterBody {
                target_name: UserPtr::from_mut_slice(&mut name),
                target_name_len: first.target_name_len,
                ..Default::default()
            };
            // SAFETY: the arm of an iterator link; the kernel writes `target_name_len` bytes to
            // `target_name` at most, which is the length of `name`.
            let arm = unsafe { self.fill(&arm) }?;
            body = LinkBody::from_arm(&arm);
        }
        let target_name = c_bytes(name);
        let arm: LinkIterBody = body.arm();
        let task: LinkIterTaskBody = body.arm();
        let target = match target_name.as_slice() {
            b"bpf_map_elem" | b"bpf_sk_storage_map" => IterTarget::MapElem { map_id: arm.map_id },
            b"cgroup" => IterTarget::Cgroup {
                cgroup_id: arm.cgroup_id,
                order: arm.order,
            },
            b"task" | b"task_file" | b"task_vma" => IterTarget::Task {
                tid: task.tid,
                pid: task.pid,
            },
            _ => IterTarget::None,
        };
        Ok(LinkKind::Iter {
            target_name,
            target,
        })
    }

    fn perf_event(&self, body: &LinkBody) -> Result<PerfEventLink, SysError> {
        // The head is the same for all events that have a name.
        let head: LinkPerfTracepointBody = body.arm();
        let type_ = PerfEventType(head.type_);
        let named = matches!(
            type_,
            PerfEventType::UPROBE
                | PerfEventType::URETPROBE
                | PerfEventType::KPROBE
                | PerfEventType::KRETPROBE
                | PerfEventType::TRACEPOINT
        );
        let mut body = *body;
        let mut name = Vec::new();
        if named && head.name_len != 0 {
            name.resize(head.name_len as usize, 0);
            // The widest arm, so that its whole answer comes back.
            let arm = LinkPerfKprobeBody {
                type_: 0,
                func_name: UserPtr::from_mut_slice(&mut name),
                name_len: head.name_len,
                ..Default::default()
            };
            // SAFETY: all arms of a perf-event link with a name have the same two fields in the
            // same places; the kernel writes `name_len` bytes at most, which is the length of
            // `name`. Which event a link has never changes.
            let arm = unsafe { self.fill(&arm) }?;
            body = LinkBody::from_arm(&arm);
        }
        let name = c_bytes(name);
        Ok(match type_ {
            PerfEventType::UPROBE | PerfEventType::URETPROBE => {
                let arm: LinkPerfUprobeBody = body.arm();
                PerfEventLink::Uprobe {
                    retprobe: type_ == PerfEventType::URETPROBE,
                    file: name,
                    offset: arm.offset,
                    cookie: arm.cookie,
                    ref_ctr_offset: arm.ref_ctr_offset,
                }
            }
            PerfEventType::KPROBE | PerfEventType::KRETPROBE => {
                let arm: LinkPerfKprobeBody = body.arm();
                PerfEventLink::Kprobe {
                    retprobe: type_ == PerfEventType::KRETPROBE,
                    func: name,
                    offset: arm.offset,
                    addr: arm.addr,
                    missed: arm.missed,
                    cookie: arm.cookie,
                }
            }
            PerfEventType::TRACEPOINT => {
                let arm: LinkPerfTracepointBody = body.arm();
                PerfEventLink::Tracepoint {
                    name,
                    cookie: arm.cookie,
                }
            }
            PerfEventType::EVENT => {
                let arm: LinkPerfEventBody = body.arm();
                PerfEventLink::Event {
                    type_: arm.event_type,
                    config: arm.config,
                    cookie: arm.cookie,
                }
            }
            PerfEventType(other) => PerfEventLink::Unknown(other),
        })
    }

    fn kprobe_multi(&self, body: &LinkBody) -> Result<LinkKind, SysError> {
        let mut arm: LinkKprobeMultiBody = body.arm();
        let mut addrs = vec![0; arm.count as usize];
        let mut cookies = vec![0; arm.count as usize];
        if arm.count != 0 {
            arm.addrs = UserPtr::from_mut_slice(&mut addrs);
            arm.cookies = UserPtr::from_mut_slice(&mut cookies);
            // SAFETY: the arm of a kprobe_multi link; the kernel writes `count` words to each
            // array at most, which is the length of both.
            arm = unsafe { self.fill(&arm) }?;
        }
        Ok(LinkKind::KprobeMulti {
            flags: arm.flags,
            missed: arm.missed,
            count: arm.count,
            addrs,
            cookies,
        })
    }

    fn uprobe_multi(&self, body: &LinkBody) -> Result<LinkKind, SysError> {
        let mut arm: LinkUprobeMultiBody = body.arm();
        let len = arm.count as usize;
        let mut path = Vec::new();
        let mut offsets = vec![0; len];
        let mut ref_ctr_offsets = vec![0; len];
        let mut cookies = vec![0; len];
        if len != 0 {
            // The kernel makes the path in a buffer of the size we give, from its end.
            path.resize(PATH_MAX, 0);
            arm.path = UserPtr::from_mut_slice(&mut path);
            arm.path_size = count32(CMD, PATH_MAX)?;
            arm.offsets = UserPtr::from_mut_slice(&mut offsets);
            arm.ref_ctr_offsets = UserPtr::from_mut_slice(&mut ref_ctr_offsets);
            arm.cookies = UserPtr::from_mut_slice(&mut cookies);
            // SAFETY: the arm of a uprobe_multi link; the kernel writes `path_size` bytes to
            // `path` and `count` words to each array at most, which are their lengths.
            arm = unsafe { self.fill(&arm) }?;
        }
        Ok(LinkKind::UprobeMulti {
            path: c_bytes(path),
            offsets,
            ref_ctr_offsets,
            cookies,
            count: arm.count,
            flags: arm.flags,
            pid: arm.pid,
        })
    }

    fn tracing_multi(&self, body: &LinkBody) -> Result<LinkKind, SysError> {
        let mut arm: LinkTracingMultiBody = body.arm();
        let len = arm.count as usize;
        let mut ids = vec![0; len];
        let mut addrs = vec![0; len];
        let mut cookies = vec![0; len];
        if len != 0 {
            arm.ids = UserPtr::from_mut_slice(&mut ids);
            arm.addrs = UserPtr::from_mut_slice(&mut addrs);
            arm.cookies = UserPtr::from_mut_slice(&mut cookies);
            // SAFETY: the arm of a tracing_multi link; the kernel writes `count` elements to each
            // array at most, 32 bits wide in `ids` and 64 in the others, which are their lengths.
            arm = unsafe { self.fill(&arm) }?;
        }
        Ok(LinkKind::TracingMulti {
            attach_type: AttachType(arm.attach_type),
            count: arm.count,
            btf_obj_id: arm.btf_obj_id,
            ids,
            addrs,
            cookies,
        })
    }
}
