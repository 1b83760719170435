//! The command lines, made from what there is in the world.

use anyhow::{Context as _, Result};
use bpfsys::MapFd;
use bpfsys::cmd::MapGetNextKey;
use loader::attach::Tc;
use rbpftool_tests::state::world::World;
use rbpftool_tests::{Private, fixture, netlink};

use crate::compare::{Case, guest, line};
use crate::rules::Form;

fn case(name: impl Into<String>, lines: impl IntoIterator<Item = String>) -> Case {
    Case {
        name: name.into(),
        lines: lines.into_iter().map(|l| line(&l)).collect(),
        fresh: Vec::new(),
        before: Vec::new(),
        holders: false,
        forms: &Form::ALL,
        machine_code: false,
    }
}

pub(crate) fn all(world: &World, private: &Private) -> Result<Vec<Case>> {
    let mut cases = lists();
    cases.extend(progs(world)?);
    cases.extend(machine_code(world)?);
    cases.extend(maps(world)?);
    cases.extend(links(world)?);
    cases.extend(btfs(world, private)?);
    cases.extend(struct_ops(world)?);
    cases.extend(loads(world, private)?);
    cases.extend(nets(world)?);
    cases.extend(cgroups(world, private)?);
    cases.extend(features());
    cases.extend(tokens(private)?);
    cases.extend(pins(private)?);
    cases.extend(changes(world, private)?);
    cases.extend(mistakes(world, private)?);
    if guest() {
        cases.retain(is_for_guests);
        for case in cases.iter_mut().filter(|c| LONG.contains(&c.name.as_str())) {
            case.forms = &[Form::Text, Form::Json];
        }
    }
    Ok(cases)
}

/// Kinds of cases of which guests run a few: their lists show each object as well, and the
/// programs that are left out are two instructions.
const MANY: &[&str] = &[
    "prog show: ",
    "prog dump: ",
    "prog dump jited: ",
    "prog dump visual: ",
    "btf dump prog: ",
    "map show: ",
    "link show: ",
];
/// Those few.
const FEW: &[&str] = &[
    "t_socket",
    "described",
    "with globals",
    "struct_ops",
    "typed hash",
    "plain array",
    "tracing module",
    "perf_event kprobe",
];
/// So long that guests are spared one form.
const LONG: &[&str] = &["btf dump kernel"];

/// Emulated, a run takes a second, and there are some three thousand.
fn is_for_guests(case: &Case) -> bool {
    let label = MANY.iter().find_map(|kind| case.name.strip_prefix(kind));
    label.is_none_or(|label| FEW.contains(&label))
}

/// What the reference shows of who holds objects, where it can find out. It loads programs and
/// maps for that, so that lists are never the same twice.
pub(crate) fn held(objects: &[(&str, u32)]) -> Vec<Case> {
    objects
        .iter()
        .map(|(noun, id)| Case {
            holders: true,
            ..case(
                format!("{noun} show, held"),
                [format!("{noun} show id {id}")],
            )
        })
        .collect()
}

fn lists() -> Vec<Case> {
    ["prog", "map", "link", "btf", "perf"]
        .into_iter()
        .flat_map(|noun| {
            [
                case(
                    format!("{noun} show"),
                    [
                        format!("{noun} show"),
                        format!("{noun} list"),
                        noun.to_owned(),
                    ],
                ),
                case(format!("{noun} show -f"), [format!("-f {noun} show")]),
            ]
        })
        .collect()
}

fn features() -> Vec<Case> {
    let probes = ["feature probe", "feature probe kernel full"];
    let macros = [
        "feature probe macros",
        "feature probe full macros prefix X_",
    ];
    let groups = [
        "prog_types",
        "map_types",
        "attach_types",
        "link_types",
        "helpers",
        "h",
    ];
    let wrong = [
        "feature probe dev lo",
        "feature probe kernel kernel",
        "feature probe dev",
        "feature probe dev no_such_device",
        "feature probe prefix X",
        "feature probe macros prefix A prefix B",
        "feature probe nothing",
        "feature list_builtins",
        "feature list_builtins nothing",
    ];
    let all = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    vec![
        // these ask the kernel thousands of questions, the same ones each time
        Case {
            forms: &[Form::Text, Form::Json],
            ..case("feature probe", all(&probes))
        },
        Case {
            forms: &[Form::Text],
            ..case("feature probe macros", all(&macros))
        },
        Case {
            forms: &[Form::Json],
            ..case(
                "feature probe macros, as JSON",
                all(&["feature probe macros"]),
            )
        },
        Case {
            forms: &[Form::Pretty],
            ..case("feature", all(&["feature"]))
        },
        case(
            "feature list_builtins",
            groups.map(|g| format!("feature list_builtins {g}")),
        ),
        case("feature, wrong words", all(&wrong)),
    ]
}

/// Of file systems that delegate something, where the kernel knows how.
fn tokens(private: &Private) -> Result<Vec<Case>> {
    let name = if private.delegating()? {
        "token show"
    } else {
        "token show, nothing delegated"
    };
    let lines = ["token show", "token list", "token", "token show more"];
    Ok(vec![case(name, lines.map(str::to_owned))])
}

fn progs(world: &World) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for prog in &world.progs {
        let info = prog.fd.info()?;
        let id = info.id().context("a program without id")?;
        let tag: String = info.tag.iter().map(|b| format!("{b:02x}")).collect();
        let name = &prog.label;
        cases.push(case(
            format!("prog show: {name}"),
            [format!("prog show id {id}"), format!("prog show tag {tag}")],
        ));
        let dump = format!("prog dump xlated id {id}");
        cases.push(case(
            format!("prog dump: {name}"),
            [
                dump.clone(),
                format!("{dump} opcodes"),
                format!("{dump} linum"),
                format!("{dump} opcodes linum"),
            ],
        ));
        cases.push(case(
            format!("prog dump visual: {name}"),
            [
                format!("{dump} visual"),
                format!("{dump} visual opcodes linum"),
            ],
        ));
        // Without BTF they are all alike.
        if info.btf_id().is_some() || name == "t_socket" {
            cases.push(case(
                format!("btf dump prog: {name}"),
                [format!("btf dump prog id {id}")],
            ));
        }
    }
    let named = |name: &str| {
        [
            format!("prog show name {name}"),
            format!("prog dump xlated name {name}"),
        ]
    };
    cases.push(case("prog by name", named("t_socket")));
    cases.push(case(
        "prog by long name",
        named("entry_point_with_a_long_name"),
    ));
    Ok(cases)
}

/// The machine code of each program, and of several.
fn machine_code(world: &World) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for prog in &world.progs {
        let id = prog.fd.info()?.id().context("a program without id")?;
        let name = format!("prog dump jited: {}", prog.label);
        let dump = format!("prog dump jited id {id}");
        let again = cases.iter().any(|case| case.name == name);
        // the reference takes a quarter of a second to begin, and the others are much alike
        if again || !FEW.contains(&prog.label.as_str()) {
            cases.push(Case {
                forms: &[Form::Text],
                ..case(name, [format!("{dump} opcodes linum")])
            });
            continue;
        }
        cases.push(case(
            name,
            [
                dump.clone(),
                format!("{dump} opcodes"),
                format!("{dump} linum"),
                format!("{dump} opcodes linum"),
            ],
        ));
    }
    // it has a twin
    let alike = world.progs.iter().find(|prog| prog.label == "described");
    let info = alike.context("no described program")?.fd.info()?;
    let tag: String = info.tag.iter().map(|b| format!("{b:02x}")).collect();
    let long = "entry_point_with_a_long_name";
    cases.push(case(
        "prog dump jited of several",
        [
            format!("prog dump jited tag {tag}"),
            format!("prog dump jited tag {tag} opcodes"),
            format!("prog dump jited tag {tag} linum"),
            format!("prog dump jited name {long}"),
            format!("prog dump j name {long} op l"),
        ],
    ));
    let id = info.id().context("a program without id")?;
    cases.push(case(
        "prog dump jited, wrong words",
        [
            "prog dump jited".to_owned(),
            "prog dump jited id".to_owned(),
            "prog dump jited id 4000000000".to_owned(),
            format!("prog dump jited id {id} nope"),
            format!("prog dump jited id {id} file"),
            format!("prog dump jited id {id} file x opcodes"),
            format!("prog dump jited id {id} file x linum"),
            format!("prog dump jited tag {tag} file x"),
        ],
    ));
    for case in &mut cases {
        case.machine_code = true;
    }
    Ok(cases)
}

/// The keys of the first elements, as the tools take them.
fn keys(map: &MapFd) -> Vec<String> {
    let size = map.shape().map(|s| s.key_size).unwrap_or(0);
    let mut next = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut keys: Vec<Vec<u8>> = Vec::new();
    while keys.len() < 3 {
        let last = keys.last().map(Vec::as_slice);
        if !matches!(MapGetNextKey::new(map, last).run(&mut next), Ok(true)) {
            break;
        }
        keys.push(next.clone());
    }
    keys.iter()
        .map(|k| {
            k.iter()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn maps(world: &World) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for map in &world.maps {
        let info = map.fd.info()?;
        let id = info.id().context("a map without id")?;
        let name = &map.label;
        cases.push(case(
            format!("map show: {name}"),
            [format!("map show id {id}")],
        ));
        cases.push(case(
            format!("map dump: {name}"),
            [format!("map dump id {id}")],
        ));
        let mut lines = Vec::new();
        for key in keys(&map.fd) {
            lines.push(format!("map lookup id {id} key hex {key}"));
            lines.push(format!("map getnext id {id} key hex {key}"));
        }
        if info.key_size > 0 {
            let none = vec!["ff"; usize::try_from(info.key_size)?].join(" ");
            lines.push(format!("map lookup id {id} key hex {none}"));
            lines.push(format!("map getnext id {id}"));
        } else {
            lines.push(format!("map peek id {id}"));
        }
        cases.push(case(format!("map elements: {name}"), lines));
        if info.btf_id().is_some() || name == "plain hash" {
            let what = ["", " key", " value", " kv", " all"];
            cases.push(case(
                format!("btf dump map: {name}"),
                what.map(|w| format!("btf dump map id {id}{w}")),
            ));
        }
    }
    for name in ["typed", "plain", "demo.data"] {
        cases.push(case(
            format!("maps by name {name}"),
            [
                format!("map show name {name}"),
                format!("map dump name {name}"),
            ],
        ));
    }
    Ok(cases)
}

fn links(world: &World) -> Result<Vec<Case>> {
    world
        .links
        .iter()
        .map(|held| {
            let id = held.link.info()?.id;
            Ok(case(
                format!("link show: {}", held.label),
                [format!("link show id {id}")],
            ))
        })
        .collect()
}

fn btfs(world: &World, private: &Private) -> Result<Vec<Case>> {
    let id = world.types.fd.info()?.id().context("BTF without id")?;
    let (base, split) = (fixture("btf/base.btf"), fixture("btf/split.btf"));
    let (base, split) = (base.display(), split.display());
    let core = fixture("core/fields");
    let core = core.display();
    let least = private.dir().join("least.btf");
    let least = least.display();
    let link = fixture("link");
    let link = link.display();
    let linked = private.dir().join("linked.o");
    let linked = linked.display();
    let mut cases = vec![
        case(
            "btf show id",
            [format!("btf show id {id}"), "btf show id 1".to_owned()],
        ),
        case(
            "btf dump id",
            [
                format!("btf dump id {id}"),
                format!("btf dump id {id} format raw"),
                format!("btf dump id {id} root_id 3 root_id 5"),
            ],
        ),
        case(
            "btf dump kernel",
            ["btf dump file /sys/kernel/btf/vmlinux format raw".to_owned()],
        ),
        case(
            "btf dump id as C",
            [
                format!("btf dump id {id} format c"),
                format!("btf dump id {id} format c unsorted"),
                format!("btf dump id {id} root_id 3 format c root_id 5"),
                format!("btf dump id {id} root_id 4000000000 format c"),
            ],
        ),
        case(
            "btf dump several files",
            [
                format!("-B {base} btf dump file {split} file {split} format raw"),
                format!("-B {base} btf dump file {split} file {split} file {split} format c"),
                format!("btf dump file {split} file {split}"),
                format!("-B {base} btf dump file {split} file {base}/none"),
            ],
        ),
        case(
            "gen min_core_btf",
            [
                format!("gen min_core_btf {core}.1.el.o {least} {core}.el.o"),
                format!("gen min_core_btf {core}.1.el.o {least} {core}.el.o {core}.el.o"),
                format!("gen min_core_btf {base} {least} {core}.el.o"),
                format!("gen min_core_btf {core}.1.el.o {least} {base}"),
                format!("gen min_core_btf {core}.1.el.o {least} {core}.c"),
                format!("gen min_core_btf {base}/none {least} {core}.el.o"),
                format!("gen min_core_btf {core}.1.el.o {base}/none {core}.el.o"),
            ],
        ),
        case(
            "gen object",
            [
                format!("gen object {linked} {link}/funcs.1.el.o {link}/funcs.2.el.o"),
                format!("btf dump file {linked}"),
                format!("gen obj {linked} {link}/externs.2.eb.o {link}/externs.1.eb.o"),
                format!("btf dump file {linked} format c"),
                format!("gen object {linked} {link}/fit.el.o {link}/err.duplicate.el.o"),
                format!("gen object {linked} {link}/fit.el.o {link}/err.map.el.o"),
                format!("gen object {linked} {link}/fit.el.o {link}/fit.eb.o"),
                format!("gen object {linked} {link}/fit.el.o {link}/none.o"),
                format!("gen object {linked}/none {link}/fit.el.o"),
            ],
        ),
        case(
            "btf dump kernel as C",
            ["", " unsorted", " root_id 100 root_id 2000 root_id 3"]
                .map(|more| format!("btf dump file /sys/kernel/btf/vmlinux format c{more}")),
        ),
    ];
    cases.extend(module());
    Ok(cases)
}

/// Objects: what is said, and whether a pin is made. What is in the kernel then is compared
/// elsewhere.
fn loads(world: &World, private: &Private) -> Result<Vec<Case>> {
    // the reference takes dots out of the paths of maps that it pins
    let top = std::path::Path::new("/sys/fs/bpf");
    let pin = top.join("oracle_load");
    let shown = pin.display();
    let map = world.maps.first().context("no map")?;
    let map = map.fd.info()?.id().context("no id")?;
    let of = |name: &str| fixture(&format!("bpf/{name}.bpf.o")).display().to_string();
    let load = |name: &str, words: &str| {
        format!("prog load {} {shown} {words}", of(name))
            .trim_end()
            .to_owned()
    };
    let wrong = |words: &str| load("minimal", words);
    let nowhere = private.dir().display();
    let mut cases = vec![
        Case {
            // what keeps the reference from looking for holders keeps it from loading too
            holders: true,
            fresh: vec![pin.clone()],
            ..case(
                "prog load",
                [
                    load("minimal", ""),
                    load("minimal", "type xdp"),
                    load("minimal", "type classifier"),
                    load("subprogs", ""),
                    load("core_kernel", "kernel_btf /sys/kernel/btf/vmlinux"),
                    load("core_kernel", "kernel_btf /nonexistent"),
                    load("sections_btf", ""),
                    load("minimal", "autoattach"),
                    load("nonexistent", ""),
                    load("err_verifier", ""),
                    load("err_kconfig", ""),
                ],
            )
        },
        Case {
            holders: true,
            fresh: vec![pin.clone()],
            ..case(
                "prog load, words",
                [
                    "prog load".to_owned(),
                    "prog load x".to_owned(),
                    "prog loadall x".to_owned(),
                    wrong("nope"),
                    wrong("type"),
                    wrong("type nope"),
                    wrong("type xdp type xdp"),
                    wrong("map nope 1 id 1"),
                    wrong("map idx x id 1"),
                    wrong("map idx 1"),
                    wrong(&format!("map idx 7 id {map}")),
                    wrong(&format!("map name nope id {map}")),
                    wrong("offload_dev nope"),
                    wrong("offload_dev lo xdpmeta_dev lo"),
                    wrong("offload_dev lo"),
                    wrong("type xdp xdpmeta_dev lo"),
                    wrong("pinmaps"),
                    format!("-n prog load {} {nowhere}/none/x", of("minimal")),
                    format!("-n prog load {} {nowhere}/x", of("minimal")),
                    format!("-n prog loadall {} {nowhere}", of("minimal")),
                    format!("-n prog loadall {} {nowhere}/none/x", of("minimal")),
                ],
            )
        },
    ];
    // before Linux 6.18 the reference asks for more of a map than the kernel knows
    let running = bpfsys::KernelVersion::running().context("ask for the kernel's version")?;
    if (running.major, running.minor) >= (6, 18) {
        cases.push(Case {
            holders: true,
            ..case(
                "prog load by a loader program",
                [
                    format!("-L prog load {}", of("minimal")),
                    format!("-L prog load {}", of("err_verifier")),
                ],
            )
        });
    }
    Ok(cases)
}

/// Sets of operations: none of the sort, and, where there are any, one that is not registered and
/// those of the links.
fn struct_ops(world: &World) -> Result<Vec<Case>> {
    let other = world.maps.first().context("no map")?;
    let other = other.fd.info()?.id().context("no id")?;
    let mut cases = vec![case(
        "struct_ops of none",
        [
            "struct_ops show id 4000000000".to_owned(),
            format!("struct_ops show id {other}"),
            "struct_ops show id x".to_owned(),
            "struct_ops dump name nope".to_owned(),
            "struct_ops show name nope".to_owned(),
            format!("struct_ops unregister id {other}"),
            "struct_ops unregister name nope".to_owned(),
        ],
    )];
    let Some(map) = world.maps.iter().find(|m| m.label == "struct_ops") else {
        return Ok(cases);
    };
    let id = map.fd.info()?.id().context("no id")?;
    cases.extend([
        case(
            "struct_ops show",
            [
                "struct_ops show".to_owned(),
                "struct_ops list".to_owned(),
                format!("struct_ops show id {id}"),
                "struct_ops show name test_cc".to_owned(),
            ],
        ),
        case(
            "struct_ops dump",
            [
                format!("struct_ops dump id {id}"),
                "struct_ops dump name test_cc".to_owned(),
                "struct_ops dump".to_owned(),
            ],
        ),
        case(
            "struct_ops unregister what is not registered",
            [format!("struct_ops unregister id {id}")],
        ),
    ]);
    Ok(cases)
}

/// The BTF of a kernel module stands on the kernel's own.
fn module() -> Option<Case> {
    let id = bpfsys::btfs().flatten().find_map(|btf| {
        let said = btf.info().ok()?;
        (said.name == b"veth").then_some(said.info.id)
    })?;
    Some(case(
        "btf dump module",
        [
            format!("btf dump id {id}"),
            "btf dump file /sys/kernel/btf/veth".to_owned(),
            "-B /sys/kernel/btf/vmlinux btf dump file /sys/kernel/btf/veth".to_owned(),
        ],
    ))
}

fn pins(private: &Private) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let dir = private.bpffs();
    for sub in [dir.clone(), dir.join("sub")] {
        for entry in std::fs::read_dir(&sub).context("read the bpffs")? {
            let path = entry.context("read the bpffs")?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let noun = name.split('_').next().unwrap_or_default().to_owned();
            if ["prog", "map", "link"].contains(&noun.as_str()) {
                let path = path.display();
                let mut lines = vec![format!("{noun} show pinned {path}")];
                if noun == "map" {
                    lines.push(format!("map dump pinned {path}"));
                }
                lines.push(format!("-f {noun} show pinned {path}"));
                cases.push(case(format!("pinned {name}"), lines));
            }
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// Commands that change something: each leaves what it found.
fn changes(world: &World, private: &Private) -> Result<Vec<Case>> {
    let id_of = |label: &str| -> Result<_> {
        let map = world.maps.iter().find(|m| m.label == label);
        map.with_context(|| format!("no {label}"))?
            .fd
            .info()?
            .id()
            .context("no id")
    };
    let (hash, array) = (id_of("plain hash")?, id_of("plain array")?);
    let (percpu, queue) = (id_of("plain percpu_hash")?, id_of("plain queue")?);
    let (stack, typed) = (id_of("plain stack")?, id_of("typed hash, struct key")?);
    let fill = format!("map update id {hash} key 99 0 0 0 value 8 7 6 5 4 3 2 1");
    let mut cases = vec![
        case(
            "map update",
            [
                format!(
                    "map update id {hash} key hex 63 00 00 00 value hex 01 02 03 04 05 06 07 08"
                ),
                format!("map update id {hash} key 0x63 0 0 0 value 8 7 6 5 4 3 2 1 exist"),
                format!("map update id {hash} key 99 0 0 0 value 8 7 6 5 4 3 2 1 noexist"),
                format!("map update id {hash} key 98 0 0 0 value 0 0 0 0 0 0 0 0 exist"),
                format!("map lookup id {hash} key 99 0 0 0"),
                format!("map update id {percpu} key 9 0 0 0 value 1 2 3 4 5 6 7 8 9 10 11 12"),
                format!("map lookup id {percpu} key 9 0 0 0"),
                format!("map delete id {array} key 0 0 0 0"),
                format!("map lookup id {typed} key 1 0 0 0 2 0 0 0"),
                format!("map lookup id {typed} key 9 0 0 0 2 0 0 0"),
            ],
        ),
        Case {
            before: vec![line(&fill)],
            ..case("map delete", [format!("map delete id {hash} key 99 0 0 0")])
        },
        case(
            "map delete of none",
            [format!("map delete id {hash} key 98 0 0 0")],
        ),
    ];
    for (noun, id) in [("queue", queue), ("stack", stack)] {
        let push = |n: u32| line(&format!("map push id {id} value {n} {n} {n} {n}"));
        let pop = line(&format!("map pop id {id}"));
        // Eight elements at most; the pops make room for what is pushed.
        let empty: Vec<_> = std::iter::repeat_n(pop.clone(), 8).collect();
        let words = ["peek", "pop", "dequeue"].map(|verb| format!("map {verb} id {id}"));
        cases.push(Case {
            before: [empty.clone(), vec![push(1), push(2)]].concat(),
            ..case(format!("{noun} with elements"), words.clone())
        });
        cases.push(Case {
            before: empty.clone(),
            ..case(format!("{noun}, empty"), words)
        });
        let words = ["push", "enqueue"].map(|v| format!("map {v} id {id} value 3 3 3 3"));
        cases.push(Case {
            before: empty,
            ..case(format!("{noun} push"), words)
        });
    }
    cases.extend(files(world, private)?);
    cases.extend(attachments(world)?);
    Ok(cases)
}

fn prog_id(world: &World, label: &str) -> Result<bpfsys::ProgId> {
    let prog = world.progs.iter().find(|p| p.label == label);
    prog.with_context(|| format!("no {label}"))?
        .fd
        .info()?
        .id()
        .context("no id")
}

/// Commands that write a file or a pin.
fn files(world: &World, private: &Private) -> Result<Vec<Case>> {
    let (pin, file) = (
        private.bpffs().join("oracle_pin"),
        private.dir().join("written"),
    );
    let fresh = |case, path: &std::path::Path| Case {
        fresh: vec![path.to_owned()],
        ..case
    };
    let map = world
        .maps
        .first()
        .context("no map")?
        .fd
        .info()?
        .id()
        .context("no id")?;
    let link = world.links.first().context("no link")?.link.info()?.id;
    let (socket, full) = (prog_id(world, "t_socket")?, prog_id(world, "described")?);
    let shown = pin.display();
    let iterates = fixture("bpf/iterates.bpf.o");
    let mut cases = vec![
        fresh(
            case(
                "pin",
                [
                    format!("prog pin id {socket} {shown}"),
                    format!("map pin id {map} {shown}"),
                    format!("link pin id {link} {shown}"),
                ],
            ),
            &pin,
        ),
        fresh(
            case(
                "map create",
                [
                    format!(
                        "map create {shown} type hash key 4 value 4 entries 8 name made flags 1"
                    ),
                    format!("map create {shown} entries 1 type array name a value 8 key 4"),
                    format!("map create {shown} type nope key 4 value 4 entries 8 name made"),
                    format!("map create {shown} type hash key 4 value 4 entries 8"),
                    format!("map create {shown} type array key 3 value 4 entries 8 name made"),
                    format!(
                        "map create {shown} type array_of_maps key 4 value 4 entries 8 name outer inner_map id {map}"
                    ),
                ],
            ),
            &pin,
        ),
        Case {
            // What keeps the reference from looking for holders keeps both from loading.
            holders: true,
            ..fresh(
                case(
                    "iter pin",
                    [
                        format!("iter pin {} {shown}", iterates.display()),
                        format!("iter pin {} {shown} map id {map}", iterates.display()),
                        format!("iter pin no_such_file {shown}"),
                        format!("iter pin {}", iterates.display()),
                    ],
                ),
                &pin,
            )
        },
        fresh(
            case(
                "prog dump to a file",
                [format!(
                    "prog dump xlated id {full} file {}",
                    file.display()
                )],
            ),
            &file,
        ),
        Case {
            machine_code: true,
            ..fresh(
                case(
                    "prog dump jited to a file",
                    [format!("prog dump jited id {full} file {}", file.display())],
                ),
                &file,
            )
        },
    ];
    let create = line(&format!(
        "map create {shown} type array key 4 value 4 entries 2 name made"
    ));
    cases.push(Case {
        before: vec![create],
        ..fresh(
            case("map freeze", [format!("map freeze pinned {shown}")]),
            &pin,
        )
    });
    let (input, output) = (private.dir().join("frame"), private.dir().join("frame_out"));
    std::fs::write(&input, frame()).context("write a frame")?;
    let (input, shown) = (input.display(), output.display());
    for label in ["t_socket", "t_xdp", "t_cls", "t_cg_skb", "described"] {
        let run = format!("prog run id {} data_in {input}", prog_id(world, label)?);
        let lines = [
            run.clone(),
            format!("{run} data_out -"),
            format!("{run} data_out - data_size_out 100 repeat 3"),
            format!("{run} data_out {shown}"),
        ];
        cases.push(fresh(case(format!("prog run: {label}"), lines), &output));
    }
    let small = format!(
        "prog run id {} data_in {input} data_out -",
        prog_id(world, "t_xdp")?
    );
    cases.push(case(
        "prog run, too small an output",
        [format!("{small} data_size_out 20")],
    ));
    let batch = private.dir().join("batch");
    let lines = format!(
        "# a remark\nprog dump xlated id {full}\nmap dump id {map} # and more\n\nmap \\\ngetnext id {map}\n"
    );
    std::fs::write(&batch, lines).context("write a batch file")?;
    cases.push(case("batch", [format!("batch file {}", batch.display())]));
    Ok(cases)
}

/// 64 bytes that begin as an IPv4 frame does.
fn frame() -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0, 0, 46]);
    frame.resize(64, 0);
    frame
}

fn attachments(world: &World) -> Result<Vec<Case>> {
    let sockmap = world
        .maps
        .iter()
        .find(|m| m.label == "plain sockmap")
        .context("no sockmap")?;
    let map = sockmap.fd.info()?.id().context("no id")?;
    let verdict = prog_id(world, "t_sk_skb")?;
    let attach = format!("prog attach id {verdict} sk_skb_stream_verdict id {map}");
    let detach = format!("prog detach id {verdict} sk_skb_stream_verdict id {map}");
    let mut cases = vec![
        Case {
            before: vec![line(&detach)],
            ..case(
                "prog attach",
                [
                    attach.clone(),
                    format!("prog attach id {verdict} stream_v id {map}"),
                ],
            )
        },
        Case {
            before: vec![line(&attach)],
            ..case("prog detach", [detach.clone()])
        },
        Case {
            before: vec![line(&detach)],
            ..case("prog detach of none", [detach])
        },
        case(
            "prog attach that does not fit",
            [
                format!("prog attach id {verdict} nope id {map}"),
                format!("prog attach id {verdict} msg_verdict"),
            ],
        ),
    ];
    for kind in ["raw_tracepoint", "iter", "netns"] {
        if let Some(held) = world.links.iter().find(|l| l.label == kind) {
            let id = held.link.info()?.id;
            cases.push(case(
                format!("link detach: {kind}"),
                [format!("link detach id {id}")],
            ));
        }
    }
    Ok(cases)
}

/// What runs on interfaces: the links of the world, and what is attached without.
fn nets(world: &World) -> Result<Vec<Case>> {
    let cls = world.progs.iter().find(|p| p.label == "t_cls");
    let cls = &cls.context("no t_cls")?.fd;
    // it goes with the namespace
    Tc::ingress(1).priority(7).attach(cls)?.forget();
    Tc::egress(1).handle(5).attach(cls)?.forget();
    let device = "rbpf_ve";
    netlink::device("veth", device)?;
    let (cls, xdp) = (prog_id(world, "t_cls")?, prog_id(world, "t_xdp")?);
    let attach = format!("net attach xdpgeneric id {xdp} dev {device}");
    let detach = format!("net detach xdpgeneric dev {device}");
    let list = format!("net attach tcx_egress id {cls} dev {device}");
    let unlist = format!("net detach tcx_egress dev {device}");
    Ok(vec![
        case(
            "net show",
            ["net show", "net list", "net", "net show dev lo"].map(str::to_owned),
        ),
        Case {
            before: vec![line(&attach)],
            ..case(
                "net show of another interface",
                [format!("net show dev {device}"), "net show".to_owned()],
            )
        },
        Case {
            before: vec![line(&detach)],
            ..case(
                "net attach",
                [
                    attach.clone(),
                    format!("net attach xdpg id {xdp} dev {device} overwrite"),
                    "net attach xdp id 4000000000 dev lo".to_owned(),
                    format!("net attach nope id {xdp} dev {device}"),
                    format!("net attach xdp id {xdp} dev no_such_device"),
                    format!("net attach xdp id {xdp} device {device}"),
                    format!("net attach xdp id {xdp} dev {device} prepend"),
                    format!("net attach tcx_ingress id {cls} dev {device} overwrite"),
                    "net attach xdp".to_owned(),
                ],
            )
        },
        Case {
            before: vec![line(&attach)],
            ..case(
                "net attach where there is one",
                [attach.clone(), format!("{attach} overwrite")],
            )
        },
        Case {
            before: vec![line(&attach)],
            ..case("net detach", [detach.clone()])
        },
        Case {
            before: vec![line(&detach)],
            ..case(
                "net detach of none",
                [
                    detach,
                    "net detach nope dev lo".to_owned(),
                    "net detach xdp dev no_such_device".to_owned(),
                    "net detach xdp".to_owned(),
                ],
            )
        },
        Case {
            before: vec![line(&unlist)],
            ..case(
                "net attach to a list",
                [list.clone(), format!("{list} prepend")],
            )
        },
        Case {
            before: vec![line(&list)],
            ..case("net detach from a list", [unlist.clone()])
        },
        Case {
            before: vec![line(&unlist)],
            ..case("net detach from an empty list", [unlist])
        },
    ])
}

/// Cgroups: that of the world's links, one without programs, one where they change.
fn cgroups(world: &World, private: &Private) -> Result<Vec<Case>> {
    let top = private.cgroup()?;
    let below = ["empty", "changing", "weak"].map(|name| top.join("more").join(name));
    for path in &below {
        std::fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
    }
    let [empty, changing, weak] = below;
    let (top, empty, weak) = (top.display(), empty.display(), weak.display());
    let changing = changing.display();
    let prog = prog_id(world, "t_sock_addr")?;
    let attach = format!("cgroup attach {changing} connect4 id {prog}");
    let detach = format!("cgroup detach {changing} connect4 id {prog}");
    let override_weak = format!("cgroup attach {weak} cgroup_inet4_connect id {prog} override");
    // The reference asks for the flags of each program, which Linux before 6.0 refuses, and then
    // shows no program; what is effective it asks for as it did before.
    let running = bpfsys::KernelVersion::running().context("ask for the kernel's version")?;
    let flags = running >= bpfsys::KernelVersion::new(6, 0, 0);
    let shown = |lines: [String; 5]| {
        let mut lines = Vec::from(lines);
        lines.retain(|line| flags || line.ends_with("effective"));
        lines
    };
    Ok(vec![
        Case {
            before: vec![line(&override_weak)],
            ..case(
                "cgroup show",
                shown([
                    format!("cgroup show {top}"),
                    format!("cgroup list {top} effective"),
                    format!("cgroup show {weak}"),
                    format!("cgroup show {weak} effective"),
                    format!("cgroup {top}"),
                ]),
            )
        },
        Case {
            before: vec![line(&override_weak)],
            ..case(
                "cgroup tree",
                shown([
                    format!("cgroup tree {top}"),
                    format!("cgroup tree {top}/"),
                    format!("cgroup tree {top} effective"),
                    format!("cgroup tree {empty}"),
                    format!("cgroup tree {empty} effective"),
                ]),
            )
        },
        case(
            "cgroup show of an empty one",
            [format!("cgroup show {empty}")],
        ),
        Case {
            before: vec![line(&detach)],
            ..case(
                "cgroup attach",
                [
                    attach.clone(),
                    format!("{attach} multi"),
                    format!("{attach} over"),
                    format!("{attach} nope"),
                    format!("cgroup attach {changing} nope id {prog}"),
                    format!("cgroup attach {changing} bind6 id {prog}"),
                    format!("cgroup attach {changing}"),
                    format!("cgroup attach /proc connect4 id {prog}"),
                ],
            )
        },
        Case {
            before: vec![line(&attach)],
            ..case("cgroup detach", [detach.clone()])
        },
        Case {
            before: vec![line(&detach)],
            ..case(
                "cgroup detach of none",
                [
                    detach,
                    format!("cgroup detach {changing}"),
                    "cgroup show /proc".to_owned(),
                    "cgroup show /none".to_owned(),
                    "cgroup show".to_owned(),
                ],
            )
        },
    ])
}

fn mistakes(world: &World, private: &Private) -> Result<Vec<Case>> {
    let map = world
        .maps
        .first()
        .context("no map")?
        .fd
        .info()?
        .id()
        .context("no id")?;
    let prog = world
        .progs
        .first()
        .context("no program")?
        .fd
        .info()?
        .id()
        .context("no id")?;
    let none = private.bpffs().join("none");
    let none = none.display();
    Ok(vec![
        case(
            "handles that fit nothing",
            [
                "prog show id 4000000000".to_owned(),
                "map show id 4000000000".to_owned(),
                "link show id 4000000000".to_owned(),
                "btf show id 4000000000".to_owned(),
                "prog show id x".to_owned(),
                "map show id".to_owned(),
                "prog show tag 0000000000000000".to_owned(),
                "prog show tag xyz".to_owned(),
                "prog show name nope".to_owned(),
                "map show name nope".to_owned(),
                "map show tag 0000000000000000".to_owned(),
                format!("prog show pinned {none}"),
                format!("map show pinned {none}"),
                "map show pinned /proc/self/status".to_owned(),
                "prog show what 1".to_owned(),
            ],
        ),
        case(
            "words that fit nothing",
            [
                "nope".to_owned(),
                "prog nope".to_owned(),
                "map nope".to_owned(),
                "link nope".to_owned(),
                "btf nope".to_owned(),
                format!("prog dump nope id {prog}"),
                format!("prog dump xlated id {prog} nope"),
                format!("map lookup id {map} key 1 2"),
                format!("map lookup id {map} key 1 2 3 4 5"),
                format!("map lookup id {map} key 1 2 3 x"),
                format!("map lookup id {map}"),
                format!("map update id {map} key 1 0 0 0"),
                format!("map show id {map} more"),
                format!("prog show id {prog} more"),
            ],
        ),
        case(
            "words of prog profile",
            [
                "prog profile".to_owned(),
                format!("prog profile id {prog}"),
                format!("prog profile id {prog} duration"),
                format!("prog profile id {prog} duration 5"),
                format!("prog profile id {prog} duration x cycles"),
                format!("prog profile id {prog} nope"),
                format!("prog profile id {prog} cycles duration 5"),
                "prog profile id 4000000000 cycles".to_owned(),
                "prog profile what 1 cycles".to_owned(),
            ],
        ),
    ])
}
