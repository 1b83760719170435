//! The tools, and what their records are where the objects do not say it: compilers leave types out
//! of BTF that only functions use. Sizes and places are those of the headers of libbpf-tools.

use anyhow::Result;
use bpfsys::KernelVersion;
use btf::build::{Builder, Member};
use btf::{Endian, Kind, TypeId, encoding};
use loader::target::{Running, Target as _};

use crate::acts::{self, Act};

/// One object.
pub(crate) struct Row {
    pub(crate) object: &'static str,
    /// What the example is told beside the object.
    pub(crate) words: &'static str,
    /// Its records, if the object itself does not tell.
    pub(crate) record: Option<Record>,
    pub(crate) act: Act,
    /// Why the object itself does not work on this kernel.
    pub(crate) unfit: fn() -> Result<Option<&'static str>>,
}

fn fits_all() -> Result<Option<&'static str>> {
    Ok(None)
}

/// It calls `bpf_get_current_task_btf`, and finds the arguments of `vfs_unlink` by members of
/// `struct renamedata` that were there before these became one.
fn filelife_unfit() -> Result<Option<&'static str>> {
    let running = KernelVersion::running()?;
    if (running.major, running.minor) < (5, 11) {
        return Ok(Some("needs Linux 5.11 for bpf_get_current_task_btf"));
    }
    let running = Running::new();
    let kernel = running.vmlinux()?;
    let Some(id) = kernel.find_by_name_kind(b"renamedata", Kind::Struct) else {
        return Ok(Some(
            "asks for struct renamedata, which the kernel has not got",
        ));
    };
    let mut members = kernel.flatten(id)?.into_iter();
    let merged = members.any(|member| member.name.is(b"mnt_idmap"));
    Ok(merged.then_some("does not know the struct renamedata of this kernel"))
}

impl Row {
    /// The object's name; with the programs, where it has several for the same.
    pub(crate) fn name(&self) -> String {
        match self.words.split_once("only ") {
            Some((_, pattern)) => {
                let pattern = pattern.split(' ').next().unwrap_or_default();
                format!("{}::{}", self.object, pattern.replace('*', "_"))
            }
            None => self.object.to_owned(),
        }
    }
}

/// A `struct event`.
pub(crate) struct Record {
    size: u32,
    /// Names, and bytes from the start.
    members: &'static [(&'static str, u32, As)],
}

/// What a member is.
#[derive(Clone, Copy, Debug)]
enum As {
    I32,
    U16,
    U32,
    U64,
    /// Characters, so many.
    Text(u32),
}

impl Record {
    /// Types that have it.
    pub(crate) fn btf(&self) -> Result<Vec<u8>> {
        let mut types = Builder::new(Endian::NATIVE);
        let i32 = types.add_int(b"int", 4, encoding::SIGNED);
        let u16 = types.add_int(b"unsigned short", 2, 0);
        let u32 = types.add_int(b"unsigned int", 4, 0);
        let u64 = types.add_int(b"unsigned long long", 8, 0);
        let char = types.add_int(b"char", 1, encoding::SIGNED);
        let mut id_of = |kind: As| -> TypeId {
            match kind {
                As::I32 => i32,
                As::U16 => u16,
                As::U32 => u32,
                As::U64 => u64,
                As::Text(len) => types.add_array(char, u32, len),
            }
        };
        let members: Vec<Member<'_>> = self
            .members
            .iter()
            .map(|(name, at, kind)| Member::new(name.as_bytes(), id_of(*kind), at * 8))
            .collect();
        types.add_struct(b"event", self.size, &members);
        Ok(types.finish()?)
    }
}

/// As long as names of tasks are.
const COMM: As = As::Text(16);

pub(crate) const ROWS: &[Row] = &[
    Row {
        object: "execsnoop",
        words: "",
        record: None,
        act: acts::executes,
        unfit: fits_all,
    },
    Row {
        object: "exitsnoop",
        words: "",
        record: Some(Record {
            size: 56,
            members: &[
                ("pid", 16, As::U32),
                ("tid", 20, As::U32),
                ("ppid", 24, As::U32),
                ("sig", 28, As::U32),
                ("exit_code", 32, As::I32),
                ("comm", 36, COMM),
            ],
        }),
        act: acts::exits,
        unfit: fits_all,
    },
    Row {
        object: "opensnoop",
        words: "set targ_uid=4294967295",
        record: Some(Record {
            size: 8232,
            members: &[
                ("ts", 0, As::U64),
                ("pid", 8, As::U32),
                ("uid", 12, As::U32),
                ("ret", 16, As::I32),
                ("flags", 20, As::U32),
                ("mode", 24, As::U32),
                ("comm", 48, COMM),
                ("fname", 64, As::Text(255)),
            ],
        }),
        act: acts::opens,
        unfit: fits_all,
    },
    Row {
        object: "filelife",
        words: "",
        record: Some(Record {
            size: 8200,
            members: &[
                ("fname", 0, As::Text(255)),
                ("task", 8168, COMM),
                ("delta_ns", 8184, As::U64),
                ("tgid", 8192, As::U32),
            ],
        }),
        act: acts::creates_and_removes,
        unfit: filelife_unfit,
    },
    Row {
        object: "mountsnoop",
        words: "",
        record: Some(Record {
            size: 8768,
            members: &[
                ("delta", 0, As::U64),
                ("pid", 8, As::U32),
                ("tid", 12, As::U32),
                ("mnt_ns", 16, As::U32),
                ("ret", 20, As::I32),
                ("op", 24, As::U32),
                ("comm", 28, COMM),
                ("flags", 48, As::U64),
                ("fs", 56, As::Text(8)),
                ("src", 64, As::Text(4096)),
                ("dest", 4160, As::Text(4096)),
                ("data", 8256, As::Text(512)),
            ],
        }),
        act: acts::mounts,
        unfit: fits_all,
    },
    Row {
        object: "statsnoop",
        words: "",
        record: Some(Record {
            size: 304,
            members: &[
                ("ts_ns", 0, As::U64),
                ("pid", 8, As::U32),
                ("type", 12, As::U32),
                ("ret", 16, As::I32),
                ("comm", 20, COMM),
                ("fd", 36, As::I32),
                ("dirfd", 40, As::I32),
                ("pathname", 44, As::Text(255)),
            ],
        }),
        act: acts::asks_for_a_file,
        unfit: fits_all,
    },
    Row {
        // Two of its system calls are of other architectures.
        object: "syncsnoop",
        words: "",
        record: Some(Record {
            size: 32,
            members: &[
                ("comm", 0, COMM),
                ("ts_us", 16, As::U64),
                ("sys", 24, As::I32),
            ],
        }),
        act: acts::syncs,
        unfit: fits_all,
    },
    Row {
        object: "sigsnoop",
        words: "without sig_trace",
        record: None,
        act: acts::kills,
        unfit: fits_all,
    },
    Row {
        object: "tcpconnect",
        words: "",
        record: Some(Record {
            size: 72,
            members: &[
                ("saddr_v4", 0, As::U32),
                ("daddr_v4", 16, As::U32),
                ("task", 32, COMM),
                ("ts_us", 48, As::U64),
                ("af", 56, As::U32),
                ("pid", 60, As::U32),
                ("uid", 64, As::U32),
                ("sport", 68, As::U16),
                ("dport", 70, As::U16),
            ],
        }),
        act: acts::connects,
        unfit: fits_all,
    },
    Row {
        object: "tcpconnlat",
        words: "without fentry_*",
        record: Some(TCPCONNLAT),
        act: acts::connects_in_some_time,
        unfit: fits_all,
    },
    Row {
        object: "tcpconnlat",
        words: "only fentry_* only tcp_destroy_sock",
        record: Some(TCPCONNLAT),
        act: acts::connects_in_some_time,
        unfit: fits_all,
    },
    Row {
        object: "tcplife",
        words: "",
        record: Some(Record {
            size: 96,
            members: &[
                ("ts_us", 32, As::U64),
                ("span_us", 40, As::U64),
                ("rx_b", 48, As::U64),
                ("tx_b", 56, As::U64),
                ("pid", 64, As::U32),
                ("sport", 68, As::U16),
                ("dport", 70, As::U16),
                ("family", 72, As::U16),
                ("comm", 74, COMM),
            ],
        }),
        act: acts::ends_a_connection,
        unfit: fits_all,
    },
    Row {
        object: "tcpstates",
        words: "",
        record: Some(Record {
            size: 96,
            members: &[
                ("skaddr", 32, As::U64),
                ("ts_us", 40, As::U64),
                ("delta_us", 48, As::U64),
                ("pid", 56, As::U32),
                ("oldstate", 60, As::I32),
                ("newstate", 64, As::I32),
                ("family", 68, As::U16),
                ("sport", 70, As::U16),
                ("dport", 72, As::U16),
                ("task", 74, COMM),
            ],
        }),
        act: acts::changes_state,
        unfit: fits_all,
    },
    Row {
        object: "bindsnoop",
        words: "",
        record: Some(Record {
            size: 64,
            members: &[
                ("ts_us", 16, As::U64),
                ("pid", 24, As::U32),
                ("bound_dev_if", 28, As::U32),
                ("ret", 32, As::I32),
                ("port", 36, As::U16),
                ("proto", 38, As::U16),
                ("task", 42, COMM),
            ],
        }),
        act: acts::binds,
        unfit: fits_all,
    },
    Row {
        object: "solisten",
        words: "without *_fexit",
        record: None,
        act: acts::listens,
        unfit: fits_all,
    },
    Row {
        object: "solisten",
        words: "only *_fexit",
        record: None,
        act: acts::listens,
        unfit: fits_all,
    },
    Row {
        object: "runqslower",
        words: "without handle_*",
        record: Some(RUNQSLOWER),
        act: acts::sleeps,
        unfit: fits_all,
    },
    Row {
        object: "runqslower",
        words: "only handle_*",
        record: Some(RUNQSLOWER),
        act: acts::sleeps,
        unfit: fits_all,
    },
    Row {
        object: "vfsstat",
        words: "only kprobe_* seconds 15 maps",
        record: None,
        act: acts::makes_directories,
        unfit: fits_all,
    },
    Row {
        object: "vfsstat",
        words: "only fentry_* seconds 15 maps",
        record: None,
        act: acts::makes_directories,
        unfit: fits_all,
    },
];

const TCPCONNLAT: Record = Record {
    size: 80,
    members: &[
        ("saddr_v4", 0, As::U32),
        ("daddr_v4", 16, As::U32),
        ("comm", 32, COMM),
        ("delta_us", 48, As::U64),
        ("ts_us", 56, As::U64),
        ("tgid", 64, As::U32),
        ("af", 68, As::I32),
        ("lport", 72, As::U16),
        ("dport", 74, As::U16),
    ],
};

const RUNQSLOWER: Record = Record {
    size: 48,
    members: &[
        ("task", 0, COMM),
        ("prev_task", 16, COMM),
        ("delta_us", 32, As::U64),
        ("pid", 40, As::I32),
        ("prev_pid", 44, As::I32),
    ],
};
