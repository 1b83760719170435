//! What a device takes over from the kernel: programs of two types, maps of two.

use bpfsys::cmd::{LogLevel, MapCreate, ProgLoad};
use bpfsys::insn::{Insn, Reg, asm};
use bpfsys::uapi::helpers::HelperId;
use bpfsys::{MapType, ProgType};

use super::gather::MISC;
use super::view::{Answer, Helpers, Misc, Types};

const PROG_TYPES: [(ProgType, &str); 2] =
    [(ProgType::SCHED_CLS, "sched_cls"), (ProgType::XDP, "xdp")];
const MAP_TYPES: [(MapType, &str); 2] = [(MapType::HASH, "hash"), (MapType::ARRAY, "array")];

/// What a kernel, a driver or a card says of a helper that it does not have.
const REFUSALS: [&str; 5] = [
    "invalid func ",
    "unknown func ",
    "program of this type cannot use helper ",
    "not supported by FW",
    "unsupported function id",
];

/// Asks the device with this number.
pub(super) fn probe(ifindex: u32, helpers: &[(HelperId, &'static str)]) -> Types {
    let of_types: Vec<Helpers> = PROG_TYPES
        .iter()
        .map(|(prog_type, name)| {
            // 2 lets packets pass in both types
            let yes = loads(
                *prog_type,
                &[asm::mov64_imm(Reg::R0, 2), asm::exit()],
                ifindex,
            );
            let ask = |(helper, name): &(HelperId, &'static str)| Answer {
                name,
                yes: yes && may_call(*prog_type, *helper, ifindex),
            };
            Helpers {
                prog_type: Answer { name, yes },
                helpers: helpers.iter().map(ask).collect(),
            }
        })
        .collect();
    let map = |(map_type, name): &(MapType, &'static str)| Answer {
        name,
        yes: MapCreate::new(*map_type, 4, 4, 1)
            .ifindex(ifindex)
            .run()
            .is_ok(),
    };
    Types {
        program_types: of_types.iter().map(|of| of.prog_type).collect(),
        map_types: MAP_TYPES.iter().map(map).collect(),
        helpers: of_types,
        // cards take no socket filters, with which these are asked for
        misc: MISC
            .iter()
            .map(|(name, what, _)| Misc {
                name,
                what,
                yes: false,
            })
            .collect(),
    }
}

fn loads(prog_type: ProgType, insns: &[Insn], ifindex: u32) -> bool {
    let load = ProgLoad::new(prog_type, insns).ifindex(ifindex);
    load.log_level(LogLevel::Off).run().is_ok()
}

fn may_call(prog_type: ProgType, helper: HelperId, ifindex: u32) -> bool {
    let insns = [asm::call_helper(helper), asm::exit()];
    let load = ProgLoad::new(prog_type, &insns).ifindex(ifindex);
    match load.log_level(LogLevel::Level(1)).run() {
        Ok(_) => true,
        Err(error) => {
            let log = error.log().as_str();
            !REFUSALS.iter().any(|words| log.contains(words))
        }
    }
}
