//! Work on types inside one process, and what it is done on.
//!
//! `rbpf-bench --dedup FILE…` and `--resolve OBJECT TARGET` do what the programs of the same names
//! in `xtask/bench` do with libbpf, and print the same: two times in milliseconds, then a count.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use btf::build::{Builder, Member};
use btf::core_reloc::{CoreRelo, Resolver};
use btf::ext::Ext;
use btf::{Btf, Endian, Kind, Type, TypeId};
use object::{Object as _, ObjectSection as _};

/// What `--dedup FILE…` does.
pub(crate) fn dedup(files: &[OsString]) -> Result<String> {
    let read = |file| fs::read(file).context("read a file of types");
    let blobs: Vec<Vec<u8>> = files.iter().map(read).collect::<Result<_>>()?;
    let start = Instant::now();
    let mut all = Builder::new(Endian::NATIVE);
    for data in &blobs {
        all.append(&Btf::parse(data)?)?;
    }
    let added = Instant::now();
    all.dedup()?;
    let alone = added.elapsed().as_secs_f64() * 1e3;
    let left = all.next_id();
    let bytes = all.finish()?;
    let whole = start.elapsed().as_secs_f64() * 1e3;
    ensure!(!bytes.is_empty(), "nothing was written");
    Ok(format!("{whole:.4} {alone:.4} {left}"))
}

/// What `--resolve OBJECT TARGET` does.
pub(crate) fn resolve(args: &[OsString]) -> Result<String> {
    let [object, target] = args else {
        anyhow::bail!("--resolve needs an object and a target");
    };
    let object = fs::read(object).context("read the object")?;
    let elf = object::File::parse(&object[..]).context("parse the object")?;
    let section = |name: &str| -> Result<&[u8]> {
        let section = elf.section_by_name(name);
        Ok(section.with_context(|| format!("no {name}"))?.data()?)
    };
    let local = Btf::parse(section(".BTF")?)?;
    let relos: Vec<CoreRelo> = Ext::parse(section(".BTF.ext")?)?
        .core_relos()
        .records()
        .collect();
    let start = Instant::now();
    let target = Btf::parse(fs::read(target).context("read the target")?)?;
    let parsed = Instant::now();
    let fixups = Resolver::new(&local, &target).resolve_all(relos.iter().copied());
    let (alone, whole) = (parsed.elapsed(), start.elapsed());
    let found = fixups.iter().flatten().filter(|f| !f.poison).count();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    Ok(format!("{:.4} {:.4} {found}", ms(alone), ms(whole)))
}

/// Three different kernels, if their types have been extracted.
pub(crate) fn three_kernels() -> Option<[PathBuf; 3]> {
    let dir = PathBuf::from(std::env::var_os("RBPF_BTF_DIR")?);
    let files = ["5.10", "6.1", "6.12"].map(|label| dir.join(format!("{label}.btf")));
    files.iter().all(|f| f.is_file()).then_some(files)
}

/// Headers that objects have in common, three structs in each.
const HEADERS: u32 = 40;

/// The types of small objects that share headers, as a compiler leaves them: a struct is whole
/// in those that include it, and declared where another points to it.
pub(crate) fn objects(dir: &Path, count: u32) -> Result<Vec<PathBuf>> {
    let mut dice = Dice(7);
    (0..count)
        .map(|n| {
            let path = dir.join(format!("{n}.btf"));
            fs::write(&path, object(n, &mut dice)?).context("write an object's types")?;
            Ok(path)
        })
        .collect()
}

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound)).unwrap_or(0)
    }
}

fn object(n: u32, dice: &mut Dice) -> Result<Vec<u8>> {
    let mut b = Builder::new(Endian::NATIVE);
    let int = b.add_int(b"int", 4, btf::encoding::SIGNED);
    let long = b.add_int(b"unsigned long", 8, 0);
    let byte = b.add_int(b"char", 1, btf::encoding::SIGNED);
    let word = b.add_typedef(b"u64", long);
    let name = b.add_array(byte, int, 16);
    let mut included: Vec<u32> = (0..6).map(|_| dice.below(HEADERS)).collect();
    included.sort_unstable();
    included.dedup();
    // Four ids for each struct: itself, a pointer to it, its alias, what it calls.
    let structs: Vec<u32> = included.iter().flat_map(|h| h * 3..h * 3 + 3).collect();
    let first = b.next_id();
    let place = |s: u32| structs.iter().position(|have| *have == s);
    let mut declared = Vec::new();
    let after = first + u32::try_from(structs.len() * 5)?;
    for s in &structs {
        let mut to = |s: u32| {
            let at = place(s).map(|at| u32::try_from(at * 5)).transpose();
            match at {
                Ok(Some(at)) => TypeId(first + at + 1),
                _ => {
                    let at = declared.iter().position(|d| *d == s).unwrap_or_else(|| {
                        declared.push(s);
                        declared.len() - 1
                    });
                    TypeId(after + 2 * u32::try_from(at).unwrap_or(0) + 1)
                }
            }
        };
        let (one, other) = (
            to((s * 7 + 1) % (3 * HEADERS)),
            to((s * 5 + 2) % (3 * HEADERS)),
        );
        let own = b.next_id();
        b.add_struct(
            format!("s{s}").as_bytes(),
            64,
            &[
                Member::new(b"one", one, 0),
                Member::new(b"other", other, 64),
                Member::new(b"next", TypeId(own + 1), 128),
                Member::new(b"stamp", word, 192),
                Member::new(b"name", name, 256),
                Member::new(format!("own{s}").as_bytes(), word, 384),
                Member::new(b"call", TypeId(own + 4), 448),
            ],
        );
        b.add_ptr(own);
        b.add_typedef(format!("s{s}_t").as_bytes(), own);
        b.add_func_proto(int, &[(&b""[..], one), (&b""[..], other)]);
        b.add_ptr(TypeId(own + 3));
    }
    for s in &declared {
        let fwd = b.add_fwd(format!("s{s}").as_bytes(), false);
        b.add_ptr(fwd);
    }
    let context = b.add_struct(
        format!("local{}", n % 100).as_bytes(),
        16,
        &[
            Member::new(b"x", int, 0),
            Member::new(b"q", TypeId(first + 1), 64),
        ],
    );
    let context = b.add_ptr(context);
    let proto = b.add_func_proto(int, &[(&b"ctx"[..], context)]);
    b.add_func(format!("prog{n}").as_bytes(), 1, proto);
    Ok(b.finish()?)
}

/// Structs that programs read.
const READ: [&str; 25] = [
    "task_struct",
    "mm_struct",
    "sk_buff",
    "net_device",
    "file",
    "inode",
    "dentry",
    "sock",
    "cred",
    "nsproxy",
    "request",
    "bio",
    "page",
    "vm_area_struct",
    "super_block",
    "signal_struct",
    "cgroup",
    "rq",
    "tcp_sock",
    "inet_sock",
    "socket",
    "pid",
    "bpf_map",
    "bpf_prog",
    "request_queue",
];

/// An object with a hundred relocations: four members of each of those structs, mostly where
/// they are, some how large, and whether a struct is there.
pub(crate) fn hundred_relocations(tool: &Path, dir: &Path) -> Result<PathBuf> {
    let kernel =
        Btf::parse(fs::read(rbpftool_tests::blobs::VMLINUX).context("read the kernel's types")?)?;
    let mut source = String::from(
        "#include \"vmlinux.h\"\n__attribute__((section(\"socket\"), used)) long prog(void *ctx)\n\
         {\n\tunsigned long sum = 0;\n",
    );
    let mut count = 0;
    for name in READ {
        let Some(id) = kernel.find_by_name_kind(name.as_bytes(), Kind::Struct) else {
            continue;
        };
        let Type::Struct(composite) = kernel.type_by_id(id)? else {
            continue;
        };
        let members: Vec<String> = composite
            .members()
            .filter(|m| !m.name.is_empty() && m.bitfield_size == 0)
            .map(|m| m.name.to_text().into_owned())
            .collect();
        let chosen = members.iter().step_by((members.len() / 4).max(1)).take(4);
        for (n, member) in chosen.enumerate() {
            let place = format!("((struct {name} *)ctx)->{member}");
            writeln!(
                source,
                "\tsum += {};",
                match n {
                    3 => format!("__builtin_preserve_field_info({place}, 1)"),
                    2 => format!("__builtin_preserve_field_info({place}, 2)"),
                    _ => format!("(unsigned long)__builtin_preserve_access_index(&{place})"),
                }
            )?;
            count += 1;
        }
    }
    ensure!(count > 80, "only {count} members");
    source.push_str("\treturn sum;\n}\n");
    fs::write(dir.join("relocations.c"), source).context("write a program")?;
    let header = fs::File::create(dir.join("vmlinux.h")).context("create vmlinux.h")?;
    let mut dump = Command::new(tool);
    dump.args(["btf", "dump", "file", rbpftool_tests::blobs::VMLINUX])
        .args(["format", "c"])
        .stdout(header);
    ensure!(
        dump.status()?.success(),
        "the tool cannot dump the kernel's types"
    );
    let object = dir.join("relocations.o");
    for clang in ["clang-19", "clang-20", "clang-18", "clang-17", "clang"] {
        let mut compile = Command::new(clang);
        compile
            .current_dir(dir)
            .args([
                "-target",
                "bpf",
                "-g",
                "-O2",
                "-w",
                "-c",
                "relocations.c",
                "-o",
            ])
            .arg(&object);
        match compile.status() {
            Ok(status) => {
                ensure!(status.success(), "{clang} cannot compile the program");
                return Ok(object);
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).context(clang),
        }
    }
    anyhow::bail!("no clang")
}
