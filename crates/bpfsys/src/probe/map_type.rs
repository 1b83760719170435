//! Map types.

use super::btf::blob;
use super::{Key, Support, cached};
use crate::cmd::{BtfLoad, LogLevel, MapCreate};
use crate::error::ENOTSUPP;
use crate::uapi::enums::MapType;
use crate::uapi::flags::MapFlags;

/// Whether maps of this type can be made.
#[must_use]
pub fn map_type(map_type: MapType) -> Support {
    cached(Key::MapType(map_type.0), || probe(map_type))
}

/// A multiple of every page size there is, and a power of two, as ring buffers want.
const RING_SIZE: u32 = 1 << 16;

fn probe(map_type: MapType) -> Support {
    let create = |key, value, max| MapCreate::new(map_type, key, value, max);
    let create = match map_type {
        MapType::UNSPEC => return Support::No,
        MapType::STACK_TRACE => create(4, 8, 1),
        MapType::LPM_TRIE => create(8, 8, 1).flags(MapFlags::NO_PREALLOC),
        MapType::RHASH => create(4, 4, 1).flags(MapFlags::NO_PREALLOC),
        MapType::CGROUP_STORAGE | MapType::PERCPU_CGROUP_STORAGE => create(16, 8, 0),
        MapType::QUEUE | MapType::STACK | MapType::BLOOM_FILTER => create(0, 4, 1),
        MapType::RINGBUF | MapType::USER_RINGBUF => create(0, 0, RING_SIZE),
        MapType::ARENA => create(0, 0, 1).flags(MapFlags::MMAPABLE),
        MapType::INSN_ARRAY => create(4, 16, 1),
        // Refused because kernel type 1 implements no operations. Kernels that do not know the
        // field refuse it as too big.
        MapType::STRUCT_OPS => {
            let result = create(4, 4, 1).vmlinux_value_type(1, None).run();
            return Support::judge(result, &[ENOTSUPP], &[libc::EINVAL, libc::E2BIG]);
        }
        MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
            return match MapCreate::new(MapType::ARRAY, 4, 4, 1).run() {
                Ok(inner) => Support::of(create(4, 4, 1).inner_map(&inner).run()),
                Err(error) => Support::Unknown(error),
            };
        }
        MapType::SK_STORAGE
        | MapType::INODE_STORAGE
        | MapType::TASK_STORAGE
        | MapType::CGRP_STORAGE => {
            let data = blob::with_int(&[], &[]);
            return match BtfLoad::new(&data).log_level(LogLevel::Off).run() {
                Ok(btf) => Support::of(
                    create(4, 4, 0)
                        .flags(MapFlags::NO_PREALLOC)
                        .btf(&btf, 1, 1)
                        .run(),
                ),
                Err(error) => Support::Unknown(error.sys()),
            };
        }
        _ => create(4, 4, 1),
    };
    Support::of(create.run())
}
