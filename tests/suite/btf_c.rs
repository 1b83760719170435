//! What `btf dump … format c` prints, compiled: it has the sizes and offsets that the BTF says.
//!
//! The running kernel's types, and those of the kernels in `$RBPF_BTF_DIR`.
//! Needs clang, which has BPF as a target in both byte orders.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use btf::c_dump::{Declarations, Declarator, sorted_ids};
use btf::{Btf, Kind, Type, TypeId};
use rbpftool::nouns::btf::source;
use rbpftool_tests::blobs::{Blobs, VMLINUX};
use rbpftool_tests::{Output, Suite, ensure_eq, run, run_tool, skip};

const COMPILERS: [&str; 5] = ["clang-19", "clang-20", "clang-18", "clang-17", "clang"];

fn main() -> ExitCode {
    let mut suite = Suite::new("btf_c");
    match Blobs::find() {
        Ok(blobs) => {
            blobs.tell_lacking(&mut suite);
            for blob in blobs.kernels {
                suite.add(
                    format!("{}::layout_is_that_of_the_btf", blob.name),
                    move || layout(&blob.path),
                );
            }
        }
        Err(e) => suite.add("files", move || Err(e)),
    }
    suite
        .test("one_type_compiles_alone", one_type)
        .test("split_types_bring_their_base", split)
        .run()
}

/// The bytes of a file of types.
fn types(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| skip(format!("{} cannot be read: {e}", path.display())))
}

fn clang() -> Result<&'static str> {
    COMPILERS
        .into_iter()
        .find(|name| run(Command::new(name).arg("--version"), b"").is_ok_and(|out| out.status == 0))
        .ok_or_else(|| skip("no clang"))
}

/// Compiles `source` beside the header `types.h`, with no warning.
fn compile(dir: &Path, target: &str, source: &str, object: &str) -> Result<()> {
    std::fs::write(dir.join("check.c"), source)?;
    let mut cmd = Command::new(clang()?);
    cmd.current_dir(dir)
        .args(["-target", target, "-g", "-O0", "-Werror", "-ferror-limit=5"])
        .args(["-c", "check.c", "-o", object]);
    let out = run(&mut cmd, b"")?;
    ensure!(out.status == 0, "{target}: {}", out.err());
    Ok(())
}

fn dump(args: &[&str]) -> Result<Vec<u8>> {
    let words = ["btf", "dump", "file"].iter().chain(args);
    let Output {
        status,
        stdout,
        stderr,
    } = run_tool(words)?;
    ensure!(
        status == 0,
        "{args:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    Ok(stdout)
}

/// A struct or union with a name, and the name it has in C.
struct Named {
    id: TypeId,
    c_name: String,
}

/// All of them, named in the order in which the tool declares them.
fn named(btf: &Btf<'_>) -> Result<Vec<Named>> {
    let mut declarations = Declarations::new(btf);
    let mut text = Vec::new();
    for id in sorted_ids(btf) {
        declarations.write_type(&mut text, id)?;
        text.clear();
    }
    let mut all = Vec::new();
    for id in (1..btf.len()).map(TypeId) {
        let (Type::Struct(t) | Type::Union(t)) = btf.type_by_id(id)? else {
            continue;
        };
        if t.name().is_empty() {
            continue;
        }
        declarations.write_declarator(&mut text, id, Declarator::default())?;
        let c_name = String::from_utf8(std::mem::take(&mut text))?;
        all.push(Named { id, c_name });
    }
    Ok(all)
}

fn layout(path: &Path) -> Result<()> {
    let data = types(path)?;
    let btf = Btf::parse(data)?;
    clang()?;
    let shown = path.to_str().context("a name that is not text")?;
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("types.h"), dump(&[shown, "format", "c"])?)?;

    let all = named(&btf)?;
    ensure!(all.len() > 1000, "only {} structs", all.len());
    let mut source = String::from("#include \"types.h\"\n");
    let mut offsets = 0;
    // Positions of bit fields cannot be asserted: those in the object's own types are compared.
    let mut with_bits = Vec::new();
    for Named { id, c_name } in &all {
        let size = btf.size_of(*id)?;
        writeln!(source, "_Static_assert(sizeof({c_name}) == {size}, \"\");")?;
        let mut bits = false;
        for member in btf.flatten(*id)? {
            if member.bitfield_size != 0 {
                bits = true;
            } else if !member.name.is_empty() && btf.kind_of(*id)? == Kind::Struct {
                let (name, at) = (member.name, member.bit_offset / 8);
                writeln!(
                    source,
                    "_Static_assert(__builtin_offsetof({c_name}, {name}) == {at}, \"\");"
                )?;
                offsets += 1;
            }
        }
        if bits {
            writeln!(source, "{c_name} v_{id};")?;
            with_bits.push(*id);
        }
    }
    ensure!(offsets > 5000, "only {offsets} offsets");
    compile(dir.path(), "bpfel", &source, "check.o")?;
    compile(dir.path(), "bpfeb", &source, "check.be.o")?;

    let compiled = source::read(&dir.path().join("check.o"), None)
        .map_err(|failure| anyhow::anyhow!("{:?}", failure.message()))?;
    compare(&btf, &with_bits, &compiled)
}

/// Members of the same structs in both: names, positions, widths.
fn compare(btf: &Btf<'_>, ids: &[TypeId], compiled: &Btf<'_>) -> Result<()> {
    let mut vars = HashMap::new();
    for (_, ty) in compiled.types() {
        if let Type::Var(var) = ty {
            vars.insert(var.name().to_text().into_owned(), var.type_id());
        }
    }
    let members = |btf: &Btf<'_>, id| -> Result<Vec<String>> {
        let flat = btf.flatten(id)?;
        let named = flat.iter().filter(|m| !m.name.is_empty());
        Ok(named
            .map(|m| format!("{} at {} : {}", m.name, m.bit_offset, m.bitfield_size))
            .collect())
    };
    ensure!(!ids.is_empty(), "no bit fields");
    for id in ids {
        let var = vars
            .get(&format!("v_{id}"))
            .with_context(|| format!("the object has no v_{id}"))?;
        let name = btf.type_by_id(*id)?.name().escape_ascii().to_string();
        ensure_eq!(members(compiled, *var)?, members(btf, *id)?, "{name}");
    }
    Ok(())
}

/// Every hundredth struct of the kernel, each with what it needs and nothing else.
fn one_type() -> Result<()> {
    let btf = Btf::parse(types(Path::new(VMLINUX))?)?;
    clang()?;
    let dir = tempfile::tempdir()?;
    let mut ids = Vec::new();
    for (id, ty) in btf.types() {
        if let Type::Struct(t) = ty
            && !t.name().is_empty()
        {
            ids.push((id, t.size()));
        }
    }
    for (id, size) in ids.iter().step_by(ids.len() / 40 + 1) {
        let root = id.to_string();
        let text = dump(&[VMLINUX, "format", "c", "root_id", &root])?;
        std::fs::write(dir.path().join("types.h"), text)?;
        let mut name = Vec::new();
        let mut declarations = Declarations::new(&btf);
        declarations.write_declarator(&mut name, *id, Declarator::default())?;
        let name = String::from_utf8(name)?;
        let source =
            format!("#include \"types.h\"\n_Static_assert(sizeof({name}) == {size}, \"\");\n");
        compile(dir.path(), "bpfel", &source, "check.o").with_context(|| name)?;
    }
    Ok(())
}

/// Types of a program on the kernel's: both are there.
fn split() -> Result<()> {
    types(Path::new(VMLINUX))?;
    clang()?;
    let dir = tempfile::tempdir()?;
    // split types can be made by hand: one struct that has one of the kernel's in it
    let base = Btf::parse(types(Path::new(VMLINUX))?)?;
    let Some(inner) = base.find_by_name_kind(b"list_head", Kind::Struct) else {
        bail!("the kernel has no list_head");
    };
    let blob = split_blob(&base, inner)?;
    let file = dir.path().join("split.btf");
    std::fs::write(&file, blob)?;
    let mut words: Vec<OsString> = ["-B", VMLINUX, "btf", "dump", "file"]
        .map(Into::into)
        .into();
    words.push(file.into());
    words.extend(["format", "c"].map(Into::into));
    let out = run_tool(words)?;
    ensure!(out.status == 0, "{}", out.err());
    std::fs::write(dir.path().join("types.h"), &out.stdout)?;
    let source = "#include \"types.h\"\n\
                  _Static_assert(sizeof(struct rbpf_split) == 24, \"\");\n\
                  _Static_assert(__builtin_offsetof(struct rbpf_split, inner) == 8, \"\");\n\
                  _Static_assert(sizeof(struct task_struct) > 1000, \"\");\n";
    compile(dir.path(), "bpfel", source, "check.o")
}

/// `struct rbpf_split { long: 64; struct list_head inner; }`
fn split_blob(base: &Btf<'_>, inner: TypeId) -> Result<Vec<u8>> {
    let data = base.data();
    let word = |at: usize| -> Result<u32> {
        let bytes = data.get(at..at + 4).context("a short header")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    };
    let strings = word(20)?;
    let words = [
        // header length, types, strings
        24,
        0,
        24,
        24,
        17,
        // the struct and its member
        strings,
        4 << 24 | 1,
        24,
        strings + 11,
        inner.get(),
        64,
    ];
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    blob.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    blob.extend(b"rbpf_split\0inner\0");
    Ok(blob)
}
