//! What nearly every kernel in use can do, asked for with three commands instead of ten.

use super::btf::everything;
use super::{Key, keep};
use crate::cmd::{BtfLoad, LogLevel, MapCreate};
use crate::error::SysError;
use crate::insn::asm::{self, Reg};
use crate::insn::opcode::AluOp;
use crate::uapi::enums::{MapType, ProgType};
use crate::uapi::flags::MapFlags;
use crate::uapi::helpers::HelperId;
use std::os::fd::AsRawFd;
use std::sync::Once;

/// Kinds of [`everything`].
const KINDS: [u32; 9] = [1, 12, 13, 14, 15, 16, 17, 18, 19];
/// What the three commands show.
const FEATURES: [&str; 6] = [
    "btf_global_func",
    "object_names",
    "array_mmap",
    "global_data",
    "probe_read_kernel",
    "memcg_accounting",
];

/// Asks for what loaders of objects want to know of a kernel: BTF up to Linux 6.0, and features up
/// to 5.11. Where the kernel can do all of it, the probes for it have their answers and ask no
/// more; where it cannot, each asks for itself. Once per process.
pub fn at_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // What failed is found by the probe of its own.
        if ask().is_ok() {
            let kinds = KINDS.map(Key::BtfKind);
            let features = FEATURES.map(Key::Feature);
            kinds
                .into_iter()
                .chain(features)
                .for_each(|key| keep(key, true));
        }
    });
}

fn ask() -> Result<(), SysError> {
    let types = everything();
    BtfLoad::new(&types).log_level(LogLevel::Off).run()?;
    let array = MapCreate::new(MapType::ARRAY, 4, 32, 1)
        .flags(MapFlags::MMAPABLE)
        .name("probe")
        .run()?;
    let mut insns = asm::ld_map_value(Reg::R3, array.as_raw_fd(), 16).to_vec();
    insns.extend([
        asm::mov64_reg(Reg::R1, Reg::R10),
        asm::alu64_imm(AluOp::Add, Reg::R1, -8),
        asm::mov64_imm(Reg::R2, 8),
        asm::call_helper(HelperId::PROBE_READ_KERNEL),
        asm::call_helper(HelperId::KTIME_GET_COARSE_NS),
        asm::mov64_imm(Reg::R0, 0),
        asm::exit(),
    ]);
    // Whose programs may read kernel memory too since Linux 5.13, with the rights to do so.
    super::programs::request(ProgType::SOCKET_FILTER, &insns)
        .run()
        .map_err(|error| error.sys())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Feature, btf_kind};

    #[test]
    fn what_it_says_is_what_the_probes_say() {
        for name in FEATURES {
            assert!(Feature::by_name(name).is_some(), "{name}");
        }
        if let Err(error) = ask() {
            println!("SKIP at_once: this kernel cannot do all of it: {error}");
            return;
        }
        for kind in KINDS {
            assert!(btf_kind(kind).is_yes(), "{kind}");
        }
        for feature in FEATURES.iter().filter_map(|name| Feature::by_name(name)) {
            assert!(feature.probe().is_yes(), "{}", feature.name);
        }
    }
}
