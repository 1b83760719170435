//! Maps of every type that can be made.

use anyhow::{Context as _, Result};
use bpfsys::cmd::{MapCreate, MapUpdateElem};
use bpfsys::uapi::flags::{ElemFlags, MapFlags};
use bpfsys::{KernelVersion, MapFd, MapType};

use super::types::Types;

/// How to make a map.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Its type.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key: u32,
    /// Bytes of a value.
    pub value: u32,
    /// Elements.
    pub entries: u32,
    /// Flags it cannot be made without.
    pub flags: MapFlags,
    /// Is its content bytes that a system call may write and read back?
    pub content: Content,
}

/// What can be put into a map of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Any bytes under any key.
    Bytes,
    /// Any bytes under the keys 0..entries, all there from the start.
    Slots,
    /// Bytes without key, taken out in turn.
    Queue,
    /// Descriptors or ids of other things.
    Objects,
    /// Nothing, by system calls on elements.
    Other,
}

const NO: MapFlags = MapFlags::empty();

const fn recipe(map_type: MapType, key: u32, value: u32, entries: u32, content: Content) -> Recipe {
    Recipe {
        map_type,
        key,
        value,
        entries,
        flags: NO,
        content,
    }
}

/// A recipe for each type, in the order of their numbers.
#[must_use]
pub fn recipes() -> Vec<Recipe> {
    use Content::{Bytes, Objects, Other, Queue, Slots};
    let page = 4096;
    vec![
        recipe(MapType::HASH, 4, 8, 16, Bytes),
        recipe(MapType::ARRAY, 4, 8, 4, Slots),
        recipe(MapType::PROG_ARRAY, 4, 4, 4, Objects),
        recipe(MapType::PERF_EVENT_ARRAY, 4, 4, 2, Objects),
        recipe(MapType::PERCPU_HASH, 4, 12, 16, Bytes),
        recipe(MapType::PERCPU_ARRAY, 4, 4, 3, Slots),
        recipe(MapType::STACK_TRACE, 4, 80, 16, Other),
        recipe(MapType::CGROUP_ARRAY, 4, 4, 2, Objects),
        // Each CPU takes 128 free elements at a time: with fewer for all, one
        // is evicted as soon as a second CPU writes.
        recipe(MapType::LRU_HASH, 20, 4, 1024, Bytes),
        recipe(MapType::LRU_PERCPU_HASH, 4, 8, 1024, Bytes),
        Recipe {
            flags: MapFlags::NO_PREALLOC,
            ..recipe(MapType::LPM_TRIE, 8, 4, 16, Bytes)
        },
        recipe(MapType::ARRAY_OF_MAPS, 4, 4, 2, Objects),
        recipe(MapType::HASH_OF_MAPS, 4, 4, 4, Objects),
        recipe(MapType::DEVMAP, 4, 4, 4, Objects),
        recipe(MapType::SOCKMAP, 4, 4, 4, Objects),
        recipe(MapType::CPUMAP, 4, 4, 1, Objects),
        recipe(MapType::XSKMAP, 4, 4, 2, Objects),
        recipe(MapType::SOCKHASH, 4, 4, 4, Objects),
        recipe(MapType::CGROUP_STORAGE, 16, 8, 0, Other),
        recipe(MapType::REUSEPORT_SOCKARRAY, 4, 8, 2, Objects),
        recipe(MapType::PERCPU_CGROUP_STORAGE, 16, 8, 0, Other),
        recipe(MapType::QUEUE, 0, 4, 8, Queue),
        recipe(MapType::STACK, 0, 4, 8, Queue),
        Recipe {
            flags: MapFlags::NO_PREALLOC,
            ..recipe(MapType::SK_STORAGE, 4, 8, 0, Other)
        },
        recipe(MapType::DEVMAP_HASH, 4, 4, 4, Objects),
        recipe(MapType::RINGBUF, 0, 0, page, Other),
        Recipe {
            flags: MapFlags::NO_PREALLOC,
            ..recipe(MapType::INODE_STORAGE, 4, 8, 0, Other)
        },
        Recipe {
            flags: MapFlags::NO_PREALLOC,
            ..recipe(MapType::TASK_STORAGE, 4, 8, 0, Other)
        },
        recipe(MapType::BLOOM_FILTER, 0, 4, 16, Other),
        recipe(MapType::USER_RINGBUF, 0, 0, page, Other),
        Recipe {
            flags: MapFlags::NO_PREALLOC,
            ..recipe(MapType::CGRP_STORAGE, 4, 8, 0, Other)
        },
        Recipe {
            flags: MapFlags::MMAPABLE,
            ..recipe(MapType::ARENA, 0, 0, 2, Other)
        },
        // Read by system calls, but only an instruction's place may be written.
        recipe(MapType::INSN_ARRAY, 4, 16, 2, Objects),
        Recipe {
            flags: MapFlags::NO_PREALLOC,
            ..recipe(MapType::RHASH, 4, 8, 16, Bytes)
        },
    ]
}

/// Local storage is always described by BTF.
fn needs_btf(map_type: MapType) -> bool {
    [
        MapType::SK_STORAGE,
        MapType::INODE_STORAGE,
        MapType::TASK_STORAGE,
        MapType::CGRP_STORAGE,
    ]
    .contains(&map_type)
}

impl Recipe {
    /// The first kernel that has the type, if the running one is older.
    ///
    /// # Errors
    ///
    /// If the version cannot be read, or that of the type is not known.
    pub fn too_new(&self) -> Result<Option<KernelVersion>> {
        let since = self.map_type.since().context("a type of no version")?;
        Ok((since > KernelVersion::running()?).then_some(since))
    }

    /// What an error of [`Recipe::make`] may be put down to.
    #[must_use]
    pub fn needs(&self) -> super::Needs {
        let since = self.map_type.since();
        super::Needs(since.map_or((0, 0), |v| (v.major, v.minor)))
    }

    /// Makes the map; `name` has at most 15 characters.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn make(&self, name: &str, types: &Types) -> Result<MapFd> {
        let inner;
        let mut create = MapCreate::new(self.map_type, self.key, self.value, self.entries)
            .name(name)
            .flags(self.flags);
        if self.map_type.is_map_of_maps() {
            inner = MapCreate::new(MapType::HASH, 4, 8, 16)
                .name("inner_model")
                .run()?;
            create = create.inner_map(&inner);
        }
        if needs_btf(self.map_type) {
            create = create.btf(&types.fd, types.int, types.u64);
        }
        create
            .run()
            .with_context(|| format!("make a map of type {}", self.map_type))
    }

    /// The key of element `n`.
    #[must_use]
    pub fn key_bytes(&self, n: u32) -> Vec<u8> {
        let mut key = n.to_ne_bytes().to_vec();
        if self.map_type == MapType::LPM_TRIE {
            // Prefix length, then the address.
            key = 24_u32.to_ne_bytes().to_vec();
            key.extend_from_slice(&[10, 0, u8::try_from(n).unwrap_or(0), 0]);
        }
        key.resize(usize::try_from(self.key).unwrap_or(0), 0xa5);
        key
    }

    /// Puts `count` elements into a map whose content is bytes; the value of
    /// element `n` is the same on every CPU but for its first byte.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn fill(&self, map: &MapFd, count: u32) -> Result<()> {
        let len = map.shape()?.value_buf_len;
        let one = if self.map_type.is_per_cpu() {
            usize::try_from(self.value.next_multiple_of(8)).unwrap_or(8)
        } else {
            len.max(1)
        };
        for n in 0..count {
            let mut value = vec![0; len];
            for (at, byte) in value.iter_mut().enumerate() {
                let (cpu, at) = (at / one, at % one);
                let used = at < usize::try_from(self.value).unwrap_or(0);
                if used {
                    *byte = u8::try_from(if at == 0 { cpu * 16 } else { at }).unwrap_or(0)
                        ^ u8::try_from(n).unwrap_or(0);
                }
            }
            let key = if self.content == Content::Queue {
                Vec::new()
            } else {
                self.key_bytes(n)
            };
            MapUpdateElem::new(map, &key, &value)
                .flags(ElemFlags::empty())
                .run()
                .with_context(|| format!("fill a map of type {}", self.map_type))?;
        }
        Ok(())
    }
}
