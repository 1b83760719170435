//! Our output beside bpftool's, on the same kernel objects.
//!
//! Both run with the same arguments, in text, `-j` and `-p`. What they print
//! and their exit status must be equal, or differ for a reason that
//! `tests/oracle/differences.json` names. A reason that no case needs any
//! more fails as well.

#[path = "oracle/bugs.rs"]
mod bugs;
#[path = "oracle/cases.rs"]
mod cases;
#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/json.rs"]
mod json;
#[path = "oracle/keys.rs"]
mod keys;
#[path = "oracle/loads.rs"]
mod loads;
#[path = "oracle/profile.rs"]
mod profile;
#[path = "oracle/rules.rs"]
mod rules;
#[path = "oracle/streaming.rs"]
mod streaming;

use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Arguments;
use rbpftool_tests::state::world::World;
use rbpftool_tests::{Private, Suite, oracle, skip};

use bugs::Known;
use compare::{Case, Pair};
use rules::Rules;

fn main() -> ExitCode {
    let mut suite = Suite::new("oracle_bpftool").serial();
    match Stage::set() {
        Ok(stage) => fill(&mut suite, &Arc::new(stage)),
        Err(e) => suite.add("comparison", move || Err(e)),
    }
    suite.run()
}

/// Everything the cases need, alive until the last of them has run.
struct Stage {
    pair: Pair,
    loads: loads::Loads,
    rules: Rules,
    cases: Vec<Case>,
    /// What could not be made, and why.
    lacking: Vec<(String, String)>,
    /// Objects that this process holds, one of each kind.
    _held: Vec<OwnedFd>,
    known: &'static Known,
    /// The namespaces; pins in them keep the objects alive.
    _private: Private,
}

impl Stage {
    fn set() -> Result<Self> {
        let theirs = oracle()?;
        let private = Private::enter()?;
        let world = World::make(&private).context("make something to compare")?;
        let rules = Rules::read(Some(&world))?;
        let lacking = world.lacking.clone();
        let mut known = Known::of(&world)?;
        let held = hold(&world, &mut known)?;
        let mut cases = cases::all(&world, &private)?;
        cases.extend(cases::held(&known.held));
        // The setting cannot be read in these namespaces.
        let prog = &world.progs.first().context("no program")?.fd;
        let jited = prog.info()?.jited_prog_len > 0;
        // With no process holding them, the other objects look the same to both.
        world
            .let_go(&private.bpffs().join("all"))
            .context("pin everything")?;
        Ok(Self {
            loads: loads::Loads::new(&theirs, &private)?,
            pair: Pair::new(theirs, jited)?,
            rules,
            cases,
            lacking,
            _held: held,
            // There is one, for as long as the process lives.
            known: Box::leak(Box::new(known)),
            _private: private,
        })
    }
}

/// Keeps one object of each kind open.
fn hold(world: &World, known: &mut Known) -> Result<Vec<OwnedFd>> {
    let prog = &world.progs.first().context("no program")?.fd;
    let map = &world.maps.first().context("no map")?.fd;
    // Of a perf event's link the reference shows a cookie, if it is held.
    let links = &world.links;
    let link = links.iter().find(|l| l.label.starts_with("perf_event"));
    let link = &link.or(links.first()).context("no link")?.link;
    // `perf` shows what is behind descriptors of processes.
    let raw = links.iter().find(|l| l.label == "raw_tracepoint");
    let raw = &raw.context("no link to a raw tracepoint")?.link;
    let btf = &world.types.fd;
    known.held = vec![
        ("prog", prog.info()?.id().context("no id")?.get()),
        ("map", map.info()?.id().context("no id")?.get()),
        ("link", link.info()?.id.get()),
        ("link", raw.info()?.id.get()),
        ("btf", btf.info()?.id().context("no id")?.get()),
    ];
    [
        prog.as_fd(),
        map.as_fd(),
        link.as_fd(),
        raw.as_fd(),
        btf.as_fd(),
    ]
    .into_iter()
    .map(|fd| fd.try_clone_to_owned().context("duplicate a descriptor"))
    .collect()
}

fn fill(suite: &mut Suite, stage: &Arc<Stage>) {
    for (what, why) in &stage.lacking {
        let (what, why) = (what.clone(), why.clone());
        suite.add(format!("state::{what}"), move || {
            Err(skip(format!("this kernel cannot make it: {why}")))
        });
    }
    for (n, case) in stage.cases.iter().enumerate() {
        let stage = Arc::clone(stage);
        suite.add(case.name.clone(), move || match stage.cases.get(n) {
            Some(case) => stage.pair.check(case, &stage.rules),
            None => Ok(()),
        });
    }
    for load in loads::LOADS {
        let stage = Arc::clone(stage);
        suite.add(load.name(), move || stage.loads.check(load));
    }
    let registering = Arc::clone(stage);
    suite.add("struct_ops register", move || registering.loads.register());
    streaming::add(suite);
    profile::add(suite);
    bugs::add(suite, stage.known, stage);
    for (noun, wanted) in keys::NOUNS {
        let stage = Arc::clone(stage);
        suite.add(format!("keys::{noun}"), move || {
            keys::same(&stage.pair, noun, wanted)
        });
    }
    let compared = Arc::clone(stage);
    suite.add("every_same_command_is_compared", move || {
        let more = [loads::lines(), streaming::lines(), profile::lines()].concat();
        let missed = rules::not_compared(&compared.cases, &more)?;
        ensure!(missed.is_empty(), "no case compares: {}", missed.join(", "));
        Ok(())
    });
    // Only a whole run can tell that a rule is not needed.
    let args = Arguments::from_args();
    if args.filter.is_none() && args.skip.is_empty() {
        let stage = Arc::clone(stage);
        suite.add("every_difference_still_exists", move || {
            let unused = stage.rules.unused();
            ensure!(unused.is_empty(), "no case needs: {}", unused.join(", "));
            Ok(())
        });
    }
}
