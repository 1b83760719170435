//! The static linker on what a compiler makes: the objects of `tests/fixtures/link`, linked in
//! both orders and both byte orders.
//!
//! The result is described in words (sections, symbols, relocations, types, records of
//! `.BTF.ext`) and compared with bpftool's; it is loaded into the running kernel by bpftool and
//! its programs return what their sources say.
//!
//! `RBPF_BLESS=1` compiles the objects anew.

#[path = "linker/compile.rs"]
mod compile;
#[path = "linker/describe.rs"]
mod describe;
#[path = "linker/kernel.rs"]
mod kernel;
#[path = "linker/reference.rs"]
mod reference;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use kernel::Load;
use loader::link_objects::Linker;
use rbpftool_tests::{Place, Suite, ensure_eq, fixture};

use reference::Beside;

/// Two objects that are linked.
pub(crate) struct Case {
    /// `NAME.1.c` and `NAME.2.c`.
    pub(crate) name: &'static str,
    /// What bpftool makes of the two orders.
    pub(crate) beside: [Beside; 2],
    /// What the kernel makes of them.
    pub(crate) loads: [Load; 2],
}

const CASES: [Case; 10] = [
    Case {
        name: "funcs",
        beside: [Beside::Same, Beside::Same],
        loads: [
            Load::Runs(&[("first", 90), ("second", 54)]),
            Load::Runs(&[("first", 585), ("second", 54)]),
        ],
    },
    Case {
        name: "vars",
        // 'loses' is listed where the weak one is
        beside: [Beside::Misplaces(&["loses"]), Beside::Same],
        loads: [
            Load::Runs(&[("first", 276), ("second", 151)]),
            Load::Runs(&[("first", 771), ("second", 646)]),
        ],
    },
    Case {
        name: "moved",
        beside: [
            Beside::Misplaces(&["here", "moves"]),
            Beside::Refuses("global 'moves': section mismatch"),
        ],
        loads: [Load::Runs(&[("first", 14), ("second", 12)]); 2],
    },
    Case {
        name: "maps",
        // the offset of what is declared first stays 0, and 'outer' loses its 'values'
        beside: [
            Beside::Misplaces(&["hash", "inner_two", "outer"]),
            Beside::Misplaces(&["array", "outer"]),
        ],
        loads: [
            // libbpf makes maps in their order, and an outer one needs its inner ones
            Load::Fails("failed to initialize slot [1] to map 'inner_two'"),
            Load::Runs(&[("first", 15), ("second", 8)]),
        ],
    },
    Case {
        name: "externs",
        beside: [Beside::Same, Beside::Same],
        loads: [Load::Runs(&[("first", 4), ("second", 1)]); 2],
    },
    Case {
        name: "ksyms",
        beside: [Beside::Refuses("failed to resolve size"); 2],
        loads: [Load::Runs(&[("first", 1)]); 2],
    },
    Case {
        name: "core",
        beside: [Beside::Same, Beside::Same],
        loads: [Load::Runs(&[("first", 4), ("second", 8)]); 2],
    },
    Case {
        name: "ops",
        // the names of parameters go to what an external's signature is shared with
        beside: [Beside::Twice(&["*(*void ctx)", "STRUCT tcp_ca"]); 2],
        // kernels have no such struct
        loads: [Load::Not; 2],
    },
    Case {
        name: "arena",
        beside: [Beside::Misplaces(&["of_other"]), Beside::Same],
        // its programs are not loaded unless asked for
        loads: [Load::Not; 2],
    },
    Case {
        name: "plain",
        beside: [Beside::Refuses("failed to find BTF info for object"); 2],
        loads: [Load::Runs(&[("first", 3), ("second", 4)]); 2],
    },
];

/// Both byte orders.
pub(crate) const ORDERS: [&str; 2] = ["el", "eb"];

fn main() -> ExitCode {
    if rbpftool_tests::blessing()
        && let Err(e) = compile::all()
    {
        return Suite::new("linker").test("compile", move || Err(e)).run();
    }
    let mut suite =
        Suite::new("linker").test("objects_are_what_the_compiler_makes", compile::unchanged);
    // Before there is any thread: those that come later live there too.
    let place = Place::enter();
    for case in &CASES {
        for order in ORDERS {
            for (turn, pair) in [["1", "2"], ["2", "1"]].into_iter().enumerate() {
                let name = format!("{}/{order}/{}{}", case.name, pair[0], pair[1]);
                suite.add(format!("{name}/beside_bpftool"), move || {
                    reference::check(case, order, pair, turn)
                });
                suite.add(format!("{name}/again"), move || again(case, order, pair));
                suite.add(format!("{name}/in_two_steps"), move || {
                    in_two_steps(case, order, pair)
                });
                suite.add(format!("{name}/for_other_tools"), move || {
                    reference::others_read(&linked(case, order, pair)?)
                });
                if order == native()
                    && let Some(load) = case.loads.get(turn).copied()
                    && !matches!(load, Load::Not)
                {
                    let test = place.test(move |private| {
                        kernel::check(private, load, &linked(case, order, pair)?)
                    });
                    suite.add(format!("{name}/in_the_kernel"), test);
                }
            }
        }
    }
    suite.run()
}

/// The order of the machine.
const fn native() -> &'static str {
    if cfg!(target_endian = "big") {
        "eb"
    } else {
        "el"
    }
}

/// Name and bytes of a fixture.
pub(crate) fn object(case: &Case, number: &str, order: &str) -> Result<(String, Vec<u8>)> {
    let name = format!("{}.{number}.{order}.o", case.name);
    let path = fixture("link").join(&name);
    let data = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok((name, data))
}

/// Links objects.
pub(crate) fn link<'d>(objects: impl IntoIterator<Item = (&'d str, &'d [u8])>) -> Result<Vec<u8>> {
    let mut linker = Linker::new();
    for (name, data) in objects {
        linker.add(name, data)?;
    }
    Ok(linker.finish()?)
}

/// The two objects of a case, in an order.
pub(crate) fn linked(case: &Case, order: &str, pair: [&str; 2]) -> Result<Vec<u8>> {
    let objects = pair.map(|number| object(case, number, order));
    let [one, other] = objects;
    let (one, other) = (one?, other?);
    link([(&*one.0, &*one.1), (&*other.0, &*other.1)])
}

/// The same objects give the same bytes, and the result alone gives itself.
fn again(case: &Case, order: &str, pair: [&str; 2]) -> Result<()> {
    let made = linked(case, order, pair)?;
    ensure!(
        made == linked(case, order, pair)?,
        "linking twice gives two results"
    );
    let again = link([("made", &*made)])?;
    if made != again {
        ensure_eq!(describe::object(&made)?, describe::object(&again)?);
        anyhow::bail!("linked alone, the bytes change and what they say does not");
    }
    Ok(())
}

/// Linking parts first changes nothing.
fn in_two_steps(case: &Case, order: &str, pair: [&str; 2]) -> Result<()> {
    let made = describe::object(&linked(case, order, pair)?)?;
    let objects = pair.map(|number| object(case, number, order));
    let [one, other] = objects;
    let (one, other) = (one?, other?);
    let first = link([(&*one.0, &*one.1)])?;
    let second = link([(&*other.0, &*other.1)])?;
    let both = describe::object(&link([("first", &*first), ("second", &*second)])?)?;
    describe::same(&made, &both, "each alone first")
}
