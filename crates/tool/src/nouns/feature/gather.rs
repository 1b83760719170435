//! The kernel's answers to views.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bpfsys::probe::{self, Feature, Support};
use bpfsys::uapi::helpers::HelperId;
use bpfsys::{Cmd, MapType, ProgType};
use nix::errno::Errno;

use super::args::{Component, ProbeArgs};
use super::view::{Answer, FeatureView, Helpers, Misc, SyscallConfig, Types, Unknown};
use super::{device, settings};

/// Helpers whose probing leaves lines in the kernel's log.
const LOUD: [HelperId; 3] = [
    HelperId::TRACE_PRINTK,
    HelperId::TRACE_VPRINTK,
    HelperId::PROBE_WRITE_USER,
];

/// Features that are no types: bpftool's name, what it calls them, and the probe's name.
pub(super) const MISC: [(&str, &str, &str); 5] = [
    (
        "large_insn_limit",
        "Large program size limit",
        "large_insn_limit",
    ),
    ("bounded_loops", "Bounded loop support", "bounded_loops"),
    ("v2_isa_extension", "ISA extension v2", "v2_isa"),
    ("v3_isa_extension", "ISA extension v3", "v3_isa"),
    ("v4_isa_extension", "ISA extension v4", "v4_isa"),
];

/// Asks for everything; the remarks are what stood in the way.
pub fn probe(args: &ProbeArgs) -> (FeatureView, Vec<String>) {
    let mut remarks = Vec::new();
    let system_config = match args.component {
        Component::Kernel => Some(settings::read(&mut remarks)),
        Component::Device(_) => None,
    };
    let have_bpf_syscall = !is_missing(probe::command(Cmd::PROG_LOAD));
    let mut unknown = Vec::new();
    let types = have_bpf_syscall.then(|| match args.component {
        Component::Kernel => kernel(args.full, &mut unknown),
        Component::Device(ifindex) => device::probe(ifindex, &helpers(args.full)),
    });
    remarks.extend(unknown.iter().map(Unknown::to_string));
    let view = FeatureView {
        system_config,
        syscall_config: SyscallConfig { have_bpf_syscall },
        types,
        unknown,
    };
    (view, remarks)
}

/// Whether the kernel has no such system call: built without, or kept from this process.
fn is_missing(answer: Support) -> bool {
    match answer {
        Support::Yes => false,
        Support::No => true,
        Support::Unknown(error) => error.is(Errno::ENOSYS),
    }
}

/// The helpers to ask for.
pub(super) fn helpers(full: bool) -> Vec<(HelperId, &'static str)> {
    HelperId::ALL
        .iter()
        .filter(|helper| helper.0 != 0 && (full || !LOUD.contains(helper)))
        .filter_map(|helper| Some((*helper, helper.bpf_name()?)))
        .collect()
}

fn kernel(full: bool, unknown: &mut Vec<Unknown>) -> Types {
    let mut ask = |group: &'static str, name: &'static str, answer: Support| {
        if let Support::Unknown(error) = answer {
            Unknown::add(unknown, group, name, error.reason().to_string());
        }
        Answer {
            name,
            yes: answer.is_yes(),
        }
    };
    let prog_types: Vec<(ProgType, Answer)> = ProgType::ALL
        .iter()
        .filter(|t| **t != ProgType::UNSPEC)
        .filter_map(|t| Some((*t, ask("program_types", t.name()?, probe::prog_type(*t)))))
        .collect();
    let map_types = MapType::ALL
        .iter()
        .filter(|t| **t != MapType::UNSPEC)
        .filter_map(|t| Some(ask("map_types", t.name()?, probe::map_type(*t))))
        .collect();
    let misc = MISC
        .iter()
        .filter_map(|(name, what, feature)| {
            let answer = Feature::by_name(feature)?.probe();
            Some(Misc {
                name,
                what,
                yes: ask("misc", name, answer).yes,
            })
        })
        .collect();
    let all = helpers(full);
    let of_types = in_parallel(&prog_types, |(prog_type, answer)| {
        helpers_of(*prog_type, *answer, &all)
    });
    let mut types = Vec::with_capacity(of_types.len());
    for (of, reason) in of_types {
        if let Some(reason) = reason {
            Unknown::add(unknown, "helpers", of.prog_type.name, reason);
        }
        types.push(of);
    }
    Types {
        program_types: prog_types.iter().map(|(_, answer)| *answer).collect(),
        map_types,
        helpers: types,
        misc,
    }
}

/// The helpers of a type of programs, and why some are not known.
fn helpers_of(
    prog_type: ProgType,
    answer: Answer,
    all: &[(HelperId, &'static str)],
) -> (Helpers, Option<String>) {
    let mut reason = None;
    let mut ask = |helper| {
        // without programs there is nothing to find out
        if !answer.yes {
            return false;
        }
        let support = probe::helper(prog_type, helper);
        if let Support::Unknown(error) = support {
            reason.get_or_insert_with(|| error.reason().to_string());
        }
        support.is_yes()
    };
    let helpers = all
        .iter()
        .map(|(helper, name)| Answer {
            name,
            yes: ask(*helper),
        })
        .collect();
    let of = Helpers {
        prog_type: answer,
        helpers,
    };
    (of, reason)
}

/// `work` done for each of `items` by as many threads as there are CPUs; the results are in the
/// order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = items.get(index)
        {
            let result = work(item);
            done.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(in_parallel(&items, |item| *item), items);
        assert!(in_parallel(&[] as &[u32], |item| *item).is_empty());
    }

    #[test]
    fn every_feature_has_a_probe() {
        for (_, _, probe) in MISC {
            assert!(Feature::by_name(probe).is_some(), "{probe}");
        }
    }

    #[test]
    fn helpers_that_leave_lines_are_asked_for_when_told() {
        assert_eq!(helpers(false).len() + LOUD.len(), helpers(true).len());
    }
}
