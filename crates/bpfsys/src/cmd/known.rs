//! Requests that do nothing, for finding out whether the kernel knows a command.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::error::SysError;
use crate::fd::ProgFd;
use crate::sys::bpf::{bpf_fd, bpf_unit};
use crate::uapi::attr::{
    BtfLoadAttr, FdByIdAttr, IterCreateAttr, LinkCreateAttr, LinkDetachAttr, LinkUpdateAttr,
    MapBatchAttr, MapElemAttr, MapFreezeAttr, NextIdAttr, ObjAttr, ObjGetInfoAttr,
    ProgAssocStructOpsAttr, ProgAttachAttr, ProgBindMapAttr, ProgLoadAttr, ProgQueryAttr,
    ProgStreamReadAttr, ProgTestRunAttr, RawTracepointAttr, TaskFdQueryAttr, TokenCreateAttr,
};
use crate::uapi::enums::{AttachType, Cmd, MapType, StatsType};

/// A descriptor that is never open.
const NONE: u32 = u32::MAX;

/// Asks for something the command must refuse. Success means that the command exists too.
pub(crate) fn ask(cmd: Cmd) -> Result<(), SysError> {
    macro_rules! refuse {
        ($attr:ident { $($field:ident: $value:expr),* $(,)? }) => {{
            let mut attr = $attr::default();
            $(attr.$field = $value;)*
            // SAFETY: all pointer fields are null, so the kernel reads and writes nothing but the
            // attribute. The request is refused, so there is no descriptor to lose.
            unsafe { bpf_unit(cmd, &mut attr) }
        }};
    }
    match cmd {
        Cmd::MAP_CREATE => crate::cmd::MapCreate::new(MapType::ARRAY, 4, 4, 1)
            .run()
            .map(drop),
        Cmd::MAP_LOOKUP_ELEM
        | Cmd::MAP_UPDATE_ELEM
        | Cmd::MAP_DELETE_ELEM
        | Cmd::MAP_GET_NEXT_KEY
        | Cmd::MAP_LOOKUP_AND_DELETE_ELEM => refuse!(MapElemAttr { map_fd: NONE }),
        Cmd::MAP_FREEZE => refuse!(MapFreezeAttr { map_fd: NONE }),
        Cmd::MAP_LOOKUP_BATCH
        | Cmd::MAP_LOOKUP_AND_DELETE_BATCH
        | Cmd::MAP_UPDATE_BATCH
        | Cmd::MAP_DELETE_BATCH => refuse!(MapBatchAttr { map_fd: NONE }),
        // No licence, or no instructions.
        Cmd::PROG_LOAD => refuse!(ProgLoadAttr { prog_type: 1 }),
        // No path.
        Cmd::OBJ_GET => refuse!(ObjAttr {}),
        Cmd::OBJ_PIN => {
            let map = crate::cmd::MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
            refuse!(ObjAttr {
                bpf_fd: map.number()
            })
        }
        Cmd::PROG_ATTACH => refuse!(ProgAttachAttr {
            attach_bpf_fd: NONE,
            target: NONE
        }),
        // Needs no program, but a cgroup.
        Cmd::PROG_DETACH => refuse!(ProgAttachAttr {
            attach_bpf_fd: NONE,
            target: NONE
        }),
        Cmd::PROG_TEST_RUN => refuse!(ProgTestRunAttr { prog_fd: NONE }),
        // Behind the last id there can be.
        Cmd::PROG_GET_NEXT_ID
        | Cmd::MAP_GET_NEXT_ID
        | Cmd::BTF_GET_NEXT_ID
        | Cmd::LINK_GET_NEXT_ID => refuse!(NextIdAttr {
            start_id: i32::MAX as u32 - 1
        }),
        // No object has id 0.
        Cmd::PROG_GET_FD_BY_ID
        | Cmd::MAP_GET_FD_BY_ID
        | Cmd::BTF_GET_FD_BY_ID
        | Cmd::LINK_GET_FD_BY_ID => refuse!(FdByIdAttr {}),
        Cmd::OBJ_GET_INFO_BY_FD => refuse!(ObjGetInfoAttr { bpf_fd: NONE }),
        Cmd::PROG_QUERY => refuse!(ProgQueryAttr {
            target: NONE,
            attach_type: AttachType::CGROUP_INET_INGRESS.0
        }),
        Cmd::RAW_TRACEPOINT_OPEN => refuse!(RawTracepointAttr { prog_fd: NONE }),
        // Larger than BTF may be.
        Cmd::BTF_LOAD => refuse!(BtfLoadAttr { btf_size: u32::MAX }),
        // No process has this number.
        Cmd::TASK_FD_QUERY => refuse!(TaskFdQueryAttr {
            pid: i32::MAX as u32
        }),
        Cmd::LINK_CREATE => refuse!(LinkCreateAttr { prog_fd: NONE }),
        Cmd::LINK_UPDATE => refuse!(LinkUpdateAttr { link_fd: NONE }),
        Cmd::LINK_DETACH => refuse!(LinkDetachAttr { link_fd: NONE }),
        // The command has no request to refuse: this switches statistics on, and off at once.
        Cmd::ENABLE_STATS => crate::cmd::EnableStats::new(StatsType::RUN_TIME)
            .run()
            .map(drop),
        Cmd::ITER_CREATE => refuse!(IterCreateAttr { link_fd: NONE }),
        Cmd::PROG_BIND_MAP => refuse!(ProgBindMapAttr {
            prog_fd: NONE,
            map_fd: NONE
        }),
        Cmd::TOKEN_CREATE => refuse!(TokenCreateAttr { bpffs_fd: NONE }),
        Cmd::PROG_STREAM_READ_BY_FD => refuse!(ProgStreamReadAttr {
            prog_fd: NONE,
            stream_id: 1
        }),
        Cmd::PROG_ASSOC_STRUCT_OPS => refuse!(ProgAssocStructOpsAttr {
            prog_fd: NONE,
            map_fd: NONE
        }),
        _ => refuse!(NextIdAttr {}),
    }
}

/// Asks to attach no program in this way.
pub(crate) fn attach(attach_type: AttachType) -> Result<(), SysError> {
    let mut attr = ProgAttachAttr {
        target: NONE,
        attach_bpf_fd: NONE,
        attach_type: attach_type.0,
        ..Default::default()
    };
    // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0, if ever.
    unsafe { bpf_unit(Cmd::PROG_ATTACH, &mut attr) }
}

/// Asks what is attached in this way to nothing.
pub(crate) fn query(attach_type: AttachType) -> Result<(), SysError> {
    let mut attr = ProgQueryAttr {
        target: NONE,
        attach_type: attach_type.0,
        ..Default::default()
    };
    // SAFETY: all pointer fields are null, so the kernel writes nothing but the attribute. It
    // returns 0, if ever.
    unsafe { bpf_unit(Cmd::PROG_QUERY, &mut attr) }
}

/// Asks for a link from a program to no target.
pub(crate) fn link(prog: &ProgFd, attach_type: AttachType) -> Result<(), SysError> {
    let mut attr = LinkCreateAttr {
        prog_fd: prog.number(),
        target: NONE,
        attach_type: attach_type.0,
        ..Default::default()
    };
    // SAFETY: all pointer fields are null, so the kernel reads nothing but the attribute. It
    // returns a new descriptor, if ever.
    unsafe { bpf_fd(Cmd::LINK_CREATE, &mut attr, None) }.map(drop)
}
