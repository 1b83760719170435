//! Every object of `tests/fixtures/bpf`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bpfsys::probe;
use bpfsys::{ErrorKind, ProgType};
use loader::kernel::{KernelError, ProgramError};
use loader::model::Object;
use rbpftool_tests::{fixture, skip};

use crate::support::{Bench, older_than, open, options, run};

/// What becomes of an object.
enum Fate {
    /// It is loaded, on kernels from this one on.
    Loads((u16, u16)),
    /// It is loaded on kernels that are built with what it needs; where it is not, the error has
    /// one of these.
    May(&'static [&'static str]),
    /// It is not, and the error has these words.
    Not(&'static str),
    /// The same, on kernels from this one on.
    NotSince((u16, u16), &'static str),
}
use Fate::{Loads, May, Not, NotSince};

/// The oldest kernel there are tests for.
const OLD: (u16, u16) = (5, 10);
/// The next ones.
const V6_1: (u16, u16) = (6, 1);
const V6_12: (u16, u16) = (6, 12);

/// What programs return when they are run.
type Returns = &'static [(&'static str, u32)];

/// Which programs are run.
enum Run {
    None,
    /// These.
    Some(Returns),
    /// All; those that are not here return 0.
    All(Returns),
}

struct Row {
    name: &'static str,
    fate: Fate,
    run: Run,
}

const fn row(name: &'static str, fate: Fate) -> Row {
    Row {
        name,
        fate,
        run: Run::None,
    }
}

const fn runs(name: &'static str, since: (u16, u16), returns: Returns) -> Row {
    Row {
        name,
        fate: Loads(since),
        run: Run::All(returns),
    }
}

const fn some(name: &'static str, since: (u16, u16), returns: Returns) -> Row {
    Row {
        name,
        fate: Loads(since),
        run: Run::Some(returns),
    }
}

const ROWS: &[Row] = &[
    some("arg_tags", V6_12, &[("packet", 0), ("tracing", 1)]),
    runs("arena", V6_12, &[]),
    runs("arena_plain", V6_12, &[]),
    runs("attach", OLD, &[]),
    runs("attach_cookies", OLD, &[]),
    row("autoattach", Loads(V6_1)),
    row("autoattach_multi", Loads(V6_1)),
    row("autoattach_usdt", Loads(OLD)),
    runs("btf_kinds", OLD, &[]),
    runs("callbacks", V6_1, &[]),
    runs("consume", OLD, &[]),
    runs("consume_user", V6_1, &[]),
    runs("core_direct", V6_1, &[]),
    runs("core_files", V6_1, &[]),
    runs("core_kernel", OLD, &[]),
    runs("core_packet", V6_12, &[]),
    runs("data", OLD, &[("sums", 7)]),
    row("demo", Loads(OLD)),
    row(
        "err_calls",
        Not("'picks', ./err_calls.bpf.c:41:9: return entry->list[at];"),
    ),
    row("err_core", NotSince(V6_1, "needs <byte_off>")),
    row(
        "err_core_value",
        NotSince(V6_1, "member 'tasks' is a 'struct list_head'"),
    ),
    row("err_kconfig", Not("CONFIG_OF_NO_KERNEL")),
    row("err_kconfig_type", Not("CONFIG_NR_CPUS")),
    row("err_kfunc", Not("bpf_function_of_no_kernel")),
    row("err_kfunc_shape", Not("bpf_rcu_read_lock")),
    row("err_kfunc_weak", Not("bpf_function_of_no_kernel")),
    row("err_ksym", Not("symbol_of_no_kernel")),
    row(
        "err_license",
        Not("cannot call GPL-restricted function from non-GPL compatible program"),
    ),
    row("err_log", Not("R9 invalid mem access")),
    row("err_map", Not("cannot create map 'no_keys'")),
    row("err_null", Not("R0 invalid mem access 'map_value_or_null'")),
    row(
        "err_section",
        Not("'kprob/do_nanosleep' does not tell a type"),
    ),
    runs("err_static_entry", OLD, &[]),
    row("err_target", Not("tracepoint_of_no_kernel")),
    row(
        "err_verifier",
        Not("'picks', ./err_verifier.bpf.c:20:9: return entry->list[at];"),
    ),
    runs(
        "exceptions",
        V6_12,
        &[("first", 41), ("second", 52), ("without", 60)],
    ),
    runs("inner_maps", OLD, &[]),
    runs("instructions", V6_12, &[]),
    row("iterates", Loads(OLD)),
    runs("iterates_any", OLD, &[]),
    row("iterates_map", Loads(OLD)),
    runs("jump_tables", (7, 2), &[]),
    runs("kconfig", OLD, &[]),
    runs("kfuncs", V6_12, &[]),
    runs("ksyms", OLD, &[]),
    row(
        "ksyms_typed",
        May(&[
            "failed to find the address for kernel symbol 'runqueues'",
            "extern 'bpf_prog_active'",
        ]),
    ),
    runs("legacy_maps", OLD, &[]),
    runs("license_long", OLD, &[]),
    runs("license_none", OLD, &[]),
    row("license_other", Loads(OLD)),
    row("link_a", Not("'in_b'")),
    runs("link_a.linked", V6_1, &[("also_from_b", 100)]),
    row("link_b", Not("'table'")),
    runs("map_extra", V6_1, &[]),
    runs("map_kinds", V6_1, &[("counts", 1)]),
    runs("map_kinds_new", (7, 2), &[]),
    runs("maps", OLD, &[]),
    runs("maps_only", OLD, &[]),
    runs("minimal", OLD, &[("pass", 7)]),
    row(
        "module",
        May(&["bpf_ct_release", "in ldimm64 isn't KIND_VAR"]),
    ),
    runs("no_btf", OLD, &[]),
    runs("pinned", OLD, &[("count", 1)]),
    runs("pinned_other", OLD, &[]),
    runs("probe_reads", OLD, &[]),
    row(
        "replaces",
        Not("the program that has the function to replace is not given"),
    ),
    row(
        "replaces_unnamed",
        Not("the program that has the function to replace is not given"),
    ),
    runs("resizable", OLD, &[]),
    row("sched_ext", May(&["'sched_ext_ops'"])),
    row("sections_btf", Loads(OLD)),
    row("sections_cgroup", Loads(V6_12)),
    row("sections_lirc", May(&["lirc_mode2"])),
    row("sections_net", Loads(V6_12)),
    row(
        "sections_odd",
        Not("'tool/of/its/own' does not tell a type"),
    ),
    runs("sections_off", OLD, &[("on", 1)]),
    row("sections_probe", Loads(V6_1)),
    row("sections_probe_multi", Loads(V6_1)),
    row("sections_session", Loads((7, 2))),
    row("sections_trace", Loads(V6_1)),
    row("sections_trace_sleepable", Loads((7, 2))),
    row("sections_tracing_multi", Loads((7, 2))),
    row("sections_trampoline", Loads((7, 2))),
    row("skeleton", Loads(OLD)),
    runs("special_fields", V6_12, &[]),
    runs("stack_traces", OLD, &[]),
    runs("static_data", OLD, &[]),
    row("static_map", Not("a map must be a global variable")),
    row("storages", Loads(V6_12)),
    row("streams", Loads(V6_1)),
    runs("strings", V6_1, &[]),
    row("struct_ops", Loads(V6_12)),
    row("struct_ops_dummy", May(&["'bpf_dummy_ops'"])),
    row("struct_ops_off", Loads(V6_12)),
    runs("subprogs", OLD, &[]),
    runs("tail_calls", OLD, &[]),
    runs("target", OLD, &[("program", 1064)]),
    row("traces_program", Not("function 'subject' to attach to")),
    row("usdt", Loads(OLD)),
    row("usdt_plain", Loads(OLD)),
    runs("version", OLD, &[]),
];

pub(crate) fn add(bench: &mut Bench) {
    for row in ROWS {
        let compiled_otherwise = |name: &String| is_of(name, row) && name != row.name;
        let others = names().into_iter().flatten().filter(compiled_otherwise);
        for name in std::iter::once(row.name.to_owned()).chain(others) {
            bench.one(&format!("fixture::{name}"), move |dir| {
                check(row, &name, dir)
            });
        }
    }
    bench.one("fixture::all", |_| all_named());
}

/// What fixtures there are for this host.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(fixture("bpf")).context("list the fixtures")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".bpf.o")
            && !name.ends_with(".eb")
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a row is about this object: another compiler's is named `NAME.clang22`.
fn is_of(name: &str, row: &Row) -> bool {
    let rest = name.strip_prefix(row.name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(".clang"))
}

/// Every fixture has a row, and every row a fixture.
fn all_named() -> Result<()> {
    let names = names()?;
    let mut without = names.clone();
    without.retain(|name| !ROWS.iter().any(|row| is_of(name, row)));
    rbpftool_tests::ensure_eq!(without, Vec::<String>::new());
    for row in ROWS {
        anyhow::ensure!(names.iter().any(|name| name == row.name), "no {}", row.name);
    }
    Ok(())
}

fn check(row: &Row, name: &str, dir: &Path) -> Result<()> {
    let object = match open(name) {
        Ok(object) => object,
        Err(error) => return refused(row, &format!("{error:#}")),
    };
    let loaded = match object.load(&options(dir)) {
        Ok(loaded) => loaded,
        Err(error) => {
            if let Some(lacking) = lacking(&object, &error) {
                return Err(skip(format!("{lacking}: {}", first_line(&error))));
            }
            return refused(row, &first_line(&error));
        }
    };
    if let Not(words) | NotSince(_, words) = row.fate {
        bail!("it was loaded, and not refused with '{words}'");
    }
    let programs = object.programs();
    // Whether those of operations are loaded follows from their maps.
    let selected = programs
        .iter()
        .filter(|program| program.autoload && program.prog_type != ProgType::STRUCT_OPS);
    for program in selected {
        loaded
            .program(&program.name)
            .and_then(|program| program.fd())
            .with_context(|| format!("program {} was not loaded", program.name))?;
    }
    let mut wrong = Vec::new();
    for program in loaded.programs() {
        let name = program.name();
        let listed = |returns: Returns| returns.iter().find(|(of, _)| *of == name);
        let expected = match row.run {
            Run::None => None,
            Run::Some(returns) => listed(returns).map(|(_, value)| *value),
            Run::All(returns) => Some(listed(returns).map_or(0, |(_, value)| *value)),
        };
        let Some(expected) = expected else {
            continue;
        };
        match run(&loaded, name) {
            Ok(value) if value == expected => {}
            Ok(value) => wrong.push(format!("{name} returned {value}, not {expected}")),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    unpinned(dir)?;
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong = wrong.join("; ");
    match row.fate {
        Loads(since) if older_than(since)? => Err(skip(format!(
            "needs Linux {}.{}: {wrong}",
            since.0, since.1
        ))),
        _ => bail!("{wrong}"),
    }
}

/// Removes what an object says to pin.
fn unpinned(dir: &Path) -> Result<()> {
    for path in crate::support::pins_below(dir) {
        std::fs::remove_file(&path).with_context(|| format!("unpin {}", path.display()))?;
    }
    Ok(())
}

/// An error without the verifier's log.
fn first_line(error: &loader::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}

fn refused(row: &Row, text: &str) -> Result<()> {
    match row.fate {
        Not(words) | NotSince(_, words) if text.contains(words) => Ok(()),
        NotSince(since, _) if older_than(since)? => {
            Err(skip(format!("needs Linux {}.{}: {text}", since.0, since.1)))
        }
        Not(words) | NotSince(_, words) => bail!("the error does not say '{words}': {text}"),
        May(words) if words.iter().any(|words| text.contains(words)) => Err(skip(text.to_owned())),
        May(_) => bail!("{text}"),
        Loads(since) if older_than(since)? => {
            Err(skip(format!("needs Linux {}.{}: {text}", since.0, since.1)))
        }
        Loads(_) => bail!("{text}"),
    }
}

/// What the kernel lacks that the refused program needs, as far as probes know.
fn lacking(object: &Object, error: &loader::Error) -> Option<String> {
    let Some(KernelError::Program(refused)) = error.kernel() else {
        return None;
    };
    let refused: &ProgramError = refused;
    let program = object.program(&refused.program)?;
    let by_trampoline = matches!(
        program.prog_type,
        ProgType::TRACING | ProgType::LSM | ProgType::EXT
    );
    if by_trampoline && refused.sys.kind() == ErrorKind::Denied && refused.log.is_empty() {
        return Some("programs that run by a trampoline are forbidden here".into());
    }
    if probe::prog_type(program.prog_type).is_no() {
        return Some(format!("no programs of type {}", program.prog_type));
    }
    let attach = program.expected_attach_type;
    if attach.0 != 0 && probe::attach_type(attach).is_no() {
        return Some(format!("no attach type {attach}"));
    }
    None
}
