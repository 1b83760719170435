//! Attach types.

use super::programs::{RETURN_1, request};
use super::{Key, Support, cached, link};
use crate::cmd::{LogLevel, MapCreate, known};
use crate::error::ENOTSUPP;
use crate::uapi::enums::{AttachType, MapType, ProgType};

/// Whether programs can be attached this way: the kernel knows the attach type and is built with
/// it.
#[must_use]
pub fn attach_type(attach_type: AttachType) -> Support {
    cached(Key::AttachType(attach_type.0), || probe(attach_type))
}

/// An attach type no kernel has.
const NONSENSE: AttachType = AttachType(0x4000_0000);

fn probe(attach: AttachType) -> Support {
    match attach {
        AttachType::TRACE_RAW_TP
        | AttachType::TRACE_FENTRY
        | AttachType::TRACE_FEXIT
        | AttachType::TRACE_FSESSION
        | AttachType::TRACE_ITER
        | AttachType::MODIFY_RETURN => by_target(ProgType::TRACING, attach),
        AttachType::LSM_MAC | AttachType::LSM_CGROUP => by_target(ProgType::LSM, attach),
        AttachType::TRACE_FENTRY_MULTI
        | AttachType::TRACE_FEXIT_MULTI
        | AttachType::TRACE_FSESSION_MULTI => link::tracing_multi(attach),
        AttachType::SK_REUSEPORT_SELECT | AttachType::SK_REUSEPORT_SELECT_OR_MIGRATE => {
            by_load(ProgType::SK_REUSEPORT, attach)
        }
        AttachType::NETFILTER => by_load(ProgType::NETFILTER, attach),
        // A program on a device or CPU map is part of its values, which are longer then.
        AttachType::XDP_DEVMAP => Support::of(MapCreate::new(MapType::DEVMAP, 4, 8, 1).run()),
        AttachType::XDP_CPUMAP => Support::of(MapCreate::new(MapType::CPUMAP, 4, 8, 1).run()),
        // Refused for its value type, once the flag has been accepted.
        AttachType::STRUCT_OPS => {
            let create = MapCreate::new(MapType::STRUCT_OPS, 4, 4, 1)
                .flags(crate::uapi::flags::MapFlags::LINK)
                .vmlinux_value_type(1, None);
            Support::judge(create.run(), &[ENOTSUPP], &[libc::EINVAL, libc::E2BIG])
        }
        // Known types are refused for the program that is missing.
        AttachType::XDP => {
            let result = known::attach(attach);
            Support::judge(result, &[libc::EBADF], &[libc::EINVAL])
        }
        AttachType::PERF_EVENT => link::perf_event(),
        AttachType::TRACE_KPROBE_MULTI => link::kprobe_multi(false),
        AttachType::TRACE_KPROBE_SESSION => link::kprobe_multi(true),
        AttachType::TRACE_UPROBE_MULTI => link::uprobe_multi(false),
        AttachType::TRACE_UPROBE_SESSION => link::uprobe_multi(true),
        // Only since 5.17 can these be queried.
        AttachType::SK_SKB_STREAM_PARSER
        | AttachType::SK_SKB_STREAM_VERDICT
        | AttachType::SK_SKB_VERDICT
        | AttachType::SK_MSG_VERDICT => {
            let result = known::attach(attach);
            let named = Support::judge(result, &[libc::EBADF], &[libc::EINVAL]);
            let built = if attach == AttachType::SK_MSG_VERDICT {
                ProgType::SK_MSG
            } else {
                ProgType::SK_SKB
            };
            match named {
                Support::Yes => super::prog_type(built),
                other => other,
            }
        }
        // Everything else can be queried: the object is missing where the type is known.
        _ => Support::judge(
            known::query(attach),
            &[libc::EBADF, libc::ENODEV],
            &[libc::EINVAL, libc::EOPNOTSUPP],
        ),
    }
}

/// Loads a program for a target that cannot be: the verifier complains about the target when it
/// knows the attach type, and says nothing when it does not.
fn by_target(prog_type: ProgType, attach: AttachType) -> Support {
    let load = request(prog_type, &RETURN_1)
        .expected_attach_type(attach)
        .log_level(LogLevel::Level(1));
    match load.run() {
        Ok(_) => Support::Yes,
        Err(error) if error.log().as_str().contains("attach_btf_id 1 ") => Support::Yes,
        // The second is for what the JIT cannot do.
        Err(error) => Support::judge::<(), _>(Err(error), &[], &[libc::EINVAL, libc::EOPNOTSUPP]),
    }
}

/// Loads a program whose attach type is checked at load, unless the kernel accepts nonsense too.
fn by_load(prog_type: ProgType, attach: AttachType) -> Support {
    let load = |attach| {
        request(prog_type, &RETURN_1)
            .expected_attach_type(attach)
            .run()
    };
    match Support::of(load(attach)) {
        Support::Yes => match Support::of(load(NONSENSE)) {
            Support::Yes => Support::No,
            Support::No => Support::Yes,
            unknown => unknown,
        },
        other => other,
    }
}
