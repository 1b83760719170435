//! Finds the types to dump: in the kernel, in a file of types, in an ELF file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bpfsys::uapi::flags::MapFlags;
use bpfsys::{BtfFd, BtfId, KernelBtf, SysError};
use btf::build::Builder;
use btf::distill::relocate;
use btf::{Btf, BtfError};
use object::read::ReadCache;
use object::{Object, ObjectSection, ReadRef};

use super::args::{MapTypes, Source};
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, ENOENT_STATUS, Failure, Result, errno_status};
use crate::handle::{MapHandle, ProgHandle};
use crate::kernel_btf;
use crate::render::escape::Escaped;

/// The file of the kernel's own types.
pub const VMLINUX: &str = KernelBtf::VMLINUX;
/// Where those of modules are too: split, with the kernel's as base.
const KERNEL_FILES: &[u8] = b"/sys/kernel/btf/";

/// The section of types in an ELF file, and that of the types it is split from.
const SECTION: &str = ".BTF";
const BASE_SECTION: &str = ".BTF.base";
/// The section of what instructions have to do with types.
const EXT_SECTION: &str = ".BTF.ext";

/// bpftool's exit statuses: -ENODATA for no types in an ELF file, -EOPNOTSUPP.
const ENODATA_STATUS: u8 = 195;
pub(in crate::nouns) const EOPNOTSUPP_STATUS: u8 = 161;

/// No blob is longer: its header counts in 32 bits.
const LENGTH_MAX: u64 = u32::MAX as u64;
/// Bytes that tell what a file is: the oldest header of types.
const HEAD: u64 = 24;

/// Types and which of them were asked for.
#[derive(Debug)]
pub struct Loaded {
    /// The types.
    pub btf: Btf<'static>,
    /// The only types that the source stands for; empty for all.
    pub roots: Vec<u32>,
}

impl Loaded {
    fn whole(btf: Btf<'static>) -> Self {
        Self {
            btf,
            roots: Vec::new(),
        }
    }
}

/// Opens a source.
pub fn load(context: &mut Context<'_, '_>, source: &Source) -> Result<Loaded> {
    match source {
        Source::Id(id) => by_id(context, *id).map(Loaded::whole),
        Source::Prog(prog) => of_prog(context, prog).map(Loaded::whole),
        Source::Map(map, types) => of_map(context, map, *types),
        Source::File(path) => file(context, path).map(Loaded::whole),
        Source::Files(paths) => merged(context, paths).map(Loaded::whole),
    }
}

/// The types of several files on one base, each once.
fn merged(context: &Context<'_, '_>, paths: &[PathBuf]) -> Result<Btf<'static>> {
    let base = match base_option(context)? {
        Some(base) => base,
        None if paths.iter().any(|path| is_of_kernel(path)) => Arc::new(vmlinux()?),
        None => {
            return Err(
                Failure::new("several BTF files can only be merged on a base BTF")
                    .with_hint("name the base with -B")
                    .with_status(EINVAL_STATUS),
            );
        }
    };
    let mut builder = Builder::split(&base);
    for path in paths {
        let types = read(path, Some(Arc::clone(&base)))?;
        builder.append(&types).map_err(|error| {
            let shown = Escaped(path.as_os_str().as_bytes());
            let status = match error {
                BtfError::BaseMismatch => EOPNOTSUPP_STATUS,
                _ => EINVAL_STATUS,
            };
            Failure::because(format_args!("failed to merge BTF from {shown}"), error)
                .with_status(status)
        })?;
    }
    let failed =
        |error: BtfError| Failure::because("failed to merge BTF", error).with_status(EINVAL_STATUS);
    builder.dedup().map_err(failed)?;
    let data = builder.finish().map_err(failed)?;
    parse(data, Some(base)).map_err(failed)
}

fn of_prog(context: &mut Context<'_, '_>, handle: &ProgHandle) -> Result<Btf<'static>> {
    let info = handle
        .open_one()?
        .info()
        .map_err(|error| Failure::because("can't get prog info", error))?;
    if info.btf_id == 0 {
        let failure = Failure::new(format_args!("program {} has no BTF", info.id));
        return Err(failure.with_status(ENOENT_STATUS));
    }
    by_id(context, info.btf_id)
}

fn of_map(context: &mut Context<'_, '_>, handle: &MapHandle, types: MapTypes) -> Result<Loaded> {
    let info = handle
        .open_one(MapFlags::RDONLY)?
        .info()
        .map_err(|error| Failure::because("can't get map info", error))?;
    if info.btf_id == 0 {
        let failure = Failure::new(format_args!("map {} has no BTF", info.id));
        return Err(failure.with_status(ENOENT_STATUS));
    }
    // 0 stays: it says that the key (of a section of variables, say) has no type
    let (key, value) = (info.btf_key_type_id, info.btf_value_type_id);
    Ok(Loaded {
        btf: by_id(context, info.btf_id)?,
        roots: match types {
            MapTypes::KeyAndValue => vec![key, value],
            MapTypes::Key => vec![key],
            MapTypes::Value => vec![value],
            MapTypes::All => Vec::new(),
        },
    })
}

fn by_id(context: &mut Context<'_, '_>, id: u32) -> Result<Btf<'static>> {
    let what = format!("get btf by id ({id})");
    let refused =
        |error: SysError| Failure::because(&what, error).with_status(errno_status(&error));
    let Some(btf_id) = BtfId::new(id) else {
        let failure = Failure::new(format_args!("{what}: no BTF object has id 0"));
        return Err(failure.with_status(ENOENT_STATUS));
    };
    let fd = BtfFd::by_id(btf_id).map_err(refused)?;
    let details = fd.info().map_err(refused)?;
    let of_kernel = details.info.kernel_btf != 0;
    let is_module = of_kernel && details.name != b"vmlinux";
    let base = match base_option(context)? {
        None if is_module => {
            // Who reads JSON cannot be meant, and bpftool is silent there too.
            if !context.output.is_json() {
                context.output.remark(format_args!(
                    "no base BTF was given with -B: the kernel's own is used ({VMLINUX})"
                ));
            }
            Some(Arc::new(kernel_btf::vmlinux()?))
        }
        // what is there to borrow need not be copied
        None if of_kernel
            && let Ok(btf) = kernel_btf::vmlinux()
            && u32::try_from(btf.data().len()) == Ok(details.info.btf_size) =>
        {
            return Ok(btf);
        }
        base => base,
    };
    parse(fd.data().map_err(refused)?, base)
        .map_err(|error| Failure::because(&what, error).with_status(EINVAL_STATUS))
}

fn file(context: &mut Context<'_, '_>, path: &Path) -> Result<Btf<'static>> {
    let is_vmlinux = path == Path::new(VMLINUX);
    let is_module = !is_vmlinux && is_of_kernel(path);
    match base_option(context)? {
        None if is_vmlinux => vmlinux(),
        None if is_module => read(path, Some(Arc::new(vmlinux()?))),
        base => read(path, base),
    }
}

/// Whether the running kernel shows these types.
fn is_of_kernel(path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(KERNEL_FILES)
}

fn vmlinux() -> Result<Btf<'static>> {
    kernel_btf::vmlinux().map_err(|failure| failure.with_status(ENOENT_STATUS))
}

/// The types named by `-B`.
fn base_option(context: &Context<'_, '_>) -> Result<Option<Arc<Btf<'static>>>> {
    let Some(path) = &context.options.base_btf else {
        return Ok(None);
    };
    let base = if path == Path::new(VMLINUX) {
        vmlinux()
    } else {
        read(path, None)
    };
    match base {
        Ok(base) => Ok(Some(Arc::new(base))),
        Err(failure) => Err(failure.with_status(crate::failure::FAILED)),
    }
}

fn parse(
    data: Vec<u8>,
    base: Option<Arc<Btf<'static>>>,
) -> std::result::Result<Btf<'static>, BtfError> {
    match base {
        Some(base) => Btf::parse_split(data, base),
        None => Btf::parse(data),
    }
}

/// Reads a file: types as the kernel exports them, or an ELF file with a section of them. Types
/// that an ELF file brings a base for are put on `base`, and without one stay on theirs.
pub fn read(path: &Path, base: Option<Arc<Btf<'static>>>) -> Result<Btf<'static>> {
    read_with(path, base, None)
}

/// Reads the types of an object file, and the bytes of its section `.BTF.ext` if it has one.
pub fn object(path: &Path) -> Result<(Btf<'static>, Option<Vec<u8>>)> {
    let mut ext = None;
    let types = read_with(path, None, Some(&mut ext))?;
    Ok((types, ext))
}

/// The status for a file that cannot be read or written.
pub(in crate::nouns) fn io_status(error: &io::Error) -> u8 {
    error.raw_os_error().map_or(EINVAL_STATUS, |errno| {
        (errno & 0xff).to_le_bytes()[0].wrapping_neg()
    })
}

fn read_with(
    path: &Path,
    base: Option<Arc<Btf<'static>>>,
    ext: Option<&mut Option<Vec<u8>>>,
) -> Result<Btf<'static>> {
    let shown = Escaped(path.as_os_str().as_bytes());
    let what = format!("failed to load BTF from {shown}");
    let unreadable = |error: io::Error| {
        let status = io_status(&error);
        Failure::because(&what, error).with_status(status)
    };
    let malformed = |error: BtfError| Failure::because(&what, error).with_status(EINVAL_STATUS);
    let sections = match blobs(path, ext.is_some()).map_err(unreadable)? {
        Blobs::Plain(data) if !is_btf(&data) && !data.is_empty() => {
            return Err(
                Failure::new(format_args!("{what}: the file is neither BTF nor ELF"))
                    .with_status(EINVAL_STATUS),
            );
        }
        Blobs::Plain(data) => return parse(data, base).map_err(malformed),
        Blobs::Elf(sections) => sections,
    };
    if let Some(ext) = ext {
        *ext = sections.ext;
    }
    let Some(types) = sections.types else {
        let failure = Failure::new(format_args!(
            "{what}: the ELF file has no {SECTION} section"
        ));
        return Err(failure.with_status(ENODATA_STATUS));
    };
    let Some(own) = sections.base else {
        return parse(types, base).map_err(malformed);
    };
    let own = parse(own, None).map_err(|error| {
        Failure::because(format_args!("{what}, {BASE_SECTION}"), error).with_status(EINVAL_STATUS)
    })?;
    let types = parse(types, Some(Arc::new(own))).map_err(malformed)?;
    let Some(base) = base else {
        return Ok(types);
    };
    let moved = relocate(&types, &base)
        .map_err(|error| Failure::because(&what, error).with_status(EINVAL_STATUS))?;
    parse(moved.into_data(), Some(base)).map_err(malformed)
}

/// What a file holds.
enum Blobs {
    /// Not an ELF file: all of it.
    Plain(Vec<u8>),
    /// Sections of an ELF file.
    Elf(Sections),
}

#[derive(Default)]
struct Sections {
    types: Option<Vec<u8>>,
    base: Option<Vec<u8>>,
    /// Only where it is asked for.
    ext: Option<Vec<u8>>,
}

fn blobs(path: &Path, with_ext: bool) -> io::Result<Blobs> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut data = Vec::new();
    (&file).take(HEAD).read_to_end(&mut data)?;
    if is_elf(&data) && metadata.is_file() {
        // a kernel with debugging information is large, and its types are a small part of it
        file.rewind()?;
        return sections(&ReadCache::new(file), with_ext).map(Blobs::Elf);
    }
    if is_elf(&data) || is_btf(&data) {
        let length = metadata.len().min(LENGTH_MAX).saturating_sub(HEAD);
        // one byte more lets the end be seen without growing
        reserve(&mut data, length + 1)?;
        file.take(LENGTH_MAX).read_to_end(&mut data)?;
    }
    if is_elf(&data) {
        return sections(data.as_slice(), with_ext).map(Blobs::Elf);
    }
    // what is neither is refused for its first bytes: there is no need to read on
    Ok(Blobs::Plain(data))
}

/// Makes room: a length is what a file says, and may be far more than there is memory for.
pub(super) fn reserve(data: &mut Vec<u8>, length: u64) -> io::Result<()> {
    usize::try_from(length)
        .ok()
        .and_then(|length| data.try_reserve_exact(length).ok())
        .ok_or_else(|| io::Error::other(format!("no memory for {length} bytes")))
}

fn is_elf(data: &[u8]) -> bool {
    data.starts_with(b"\x7fELF")
}

/// Whether these are the first bytes of types, in either byte order.
fn is_btf(data: &[u8]) -> bool {
    data.starts_with(b"\x9f\xeb") || data.starts_with(b"\xeb\x9f")
}

fn sections<'d, R: ?Sized>(data: &'d R, with_ext: bool) -> io::Result<Sections>
where
    &'d R: ReadRef<'d>,
{
    let end = data.len().unwrap_or_default();
    let elf = object::File::parse(data).map_err(io::Error::other)?;
    let section = |name| {
        elf.section_by_name(name)
            .map(|section| section_data(name, &section, end))
            .transpose()
    };
    Ok(Sections {
        types: section(SECTION)?,
        base: section(BASE_SECTION)?,
        ext: match with_ext {
            true => section(EXT_SECTION)?,
            false => None,
        },
    })
}

/// The bytes of a section of a file that ends at `end`.
fn section_data<'d>(name: &str, section: &impl ObjectSection<'d>, end: u64) -> io::Result<Vec<u8>> {
    let malformed = |error| io::Error::other(format!("section {name}: {error}"));
    let range = section.compressed_file_range().map_err(malformed)?;
    let (offset, length) = (range.offset, range.compressed_size);
    if offset.checked_add(length).is_none_or(|own| own > end) {
        return Err(io::Error::other(format!(
            "section {name} of {length} bytes at offset {offset} goes past the end of the file \
             ({end} bytes)"
        )));
    }
    if length.max(range.uncompressed_size) > LENGTH_MAX {
        return Err(io::Error::other(format!(
            "section {name} of {} bytes is longer than BTF can be",
            length.max(range.uncompressed_size)
        )));
    }
    match section.uncompressed_data().map_err(malformed)? {
        Cow::Owned(data) => Ok(data),
        Cow::Borrowed(part) => {
            let mut data = Vec::new();
            reserve(&mut data, part.len() as u64)?;
            data.extend_from_slice(part);
            Ok(data)
        }
    }
}
