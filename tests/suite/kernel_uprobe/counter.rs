//! Programs that count how often they run, by their cookies.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{MapCreate, MapLookupElem, ProgLoad};
use bpfsys::insn::asm;
use bpfsys::probe::Feature;
use bpfsys::uapi::helpers::HelperId;
use bpfsys::{AttachType, MapFd, MapType, ProgFd, ProgType};
use rbpftool_tests::state::progs;

/// How many cookies are told apart.
const SLOTS: usize = 8;
/// Bytes of a count for each.
const VALUE: u32 = 64;

/// A program and its counts.
pub(crate) struct Counter {
    pub(crate) prog: ProgFd,
    map: MapFd,
}

/// Whether programs can be told apart by cookies.
pub(crate) fn has_cookies() -> bool {
    Feature::by_name("bpf_cookie").is_some_and(|feature| feature.probe().is_yes())
}

impl Counter {
    /// A program for single probes.
    pub(crate) fn new() -> Result<Self> {
        Self::of(None)
    }

    /// A program for many probes, or sessions.
    pub(crate) fn of(attach: Option<AttachType>) -> Result<Self> {
        let map = MapCreate::new(MapType::ARRAY, 4, VALUE, 1)
            .run()
            .context("make a map")?;
        let mut insns = Vec::new();
        if has_cookies() {
            insns.push(asm::call_helper(HelperId::GET_ATTACH_COOKIE));
        } else {
            insns.push(asm::mov64_imm(asm::R0, 0));
        }
        insns.extend(progs::asm(&format!("r0 &= {}\nr0 <<= 3", SLOTS - 1))?);
        insns.extend(asm::ld_map_value(asm::R1, map.as_raw_fd(), 0));
        insns.extend(progs::asm(
            "r1 += r0\nr2 = 1\nlock *(u64 *)(r1 +0) += r2\nr0 = 0\nexit",
        )?);
        let mut load = ProgLoad::new(ProgType::KPROBE, &insns)
            .license("GPL")
            .name("counter");
        if let Some(attach) = attach {
            load = load.expected_attach_type(attach);
        }
        let prog = load.run().context("load a program that counts")?;
        Ok(Self { prog, map })
    }

    /// How often it has run, for each cookie.
    pub(crate) fn all(&self) -> Result<[u64; SLOTS]> {
        let mut value = [0; 8 * SLOTS];
        MapLookupElem::new(&self.map, &[0; 4]).run(&mut value)?;
        let mut counts = [0; SLOTS];
        for (count, bytes) in counts.iter_mut().zip(value.chunks_exact(8)) {
            *count = u64::from_ne_bytes(bytes.try_into().context("eight bytes")?);
        }
        Ok(counts)
    }

    /// How often it has run.
    pub(crate) fn total(&self) -> Result<u64> {
        Ok(self.all()?.iter().sum())
    }
}
