//! USDT: programs that run at static probes of a program or library, and can read their arguments
//! with the functions of `usdt.bpf.h`.
//!
//! Where arguments are differs from place to place, so the object has a map of descriptions, and
//! each place is attached with the number of its own as the cookie. On kernels without cookies,
//! another map gives the number for the address.

use super::uprobe::UserFile;
use super::uprobe_multi::lacks_processes;
use super::{AttachError, Link, Part, Uprobe, UprobeMulti};
use crate::kernel::{Loaded, kernel_name};
use crate::symbols::usdt::{self, Layout, Probe, Spec, UsdtPlace};
use crate::symbols::{Binary, BinaryError, ElfFile, Mapping, Source, SymbolError, search};
use bpfsys::cmd::object::ProgParts;
use bpfsys::cmd::{MapDeleteElem, MapLookupElem, MapUpdateElem};
use bpfsys::probe::{self, Feature};
use bpfsys::uapi::flags::{ElemFlags, MapFlags};
use bpfsys::{MapFd, ProgFd, SysError};
use btf::Endian;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The map of descriptions that `usdt.bpf.h` puts into objects.
const SPECS: &str = "__bpf_usdt_specs";
/// The map from addresses to descriptions.
const IPS: &str = "__bpf_usdt_ip_to_spec_id";

/// Who numbers the descriptions in which map, by the id of that: two who do not know of each other
/// would use the same numbers.
static KNOWN: Mutex<BTreeMap<u32, Weak<Shared>>> = Mutex::new(BTreeMap::new());

/// The maps of an object through which its programs find the arguments of static probes. Values
/// of one object's maps are the same, however often they are asked for.
#[derive(Clone, Debug)]
#[doc(alias = "usdt_manager")]
pub struct UsdtMaps(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    specs: MapFd,
    ips: Option<MapFd>,
    layout: Layout,
    max: u32,
    numbers: Mutex<Numbers>,
}

/// Which descriptions are in use.
#[derive(Debug, Default)]
struct Numbers {
    next: u32,
    free: Vec<u32>,
}

impl UsdtMaps {
    /// Those of a loaded object.
    ///
    /// # Errors
    /// It has none: its source does not include `usdt.bpf.h`; or they are of a form that is not
    /// known.
    pub fn of(loaded: &Loaded) -> Result<Self, AttachError> {
        let fd = |name: &str| loaded.map(name).and_then(|map| map.fd());
        let specs = fd(SPECS).ok_or_else(|| AttachError::Missing {
            what: "map for the arguments of static probes",
            name: SPECS.to_owned(),
        })?;
        Self::new(specs, fd(IPS))
    }

    /// Those among the maps of a program.
    ///
    /// # Errors
    /// It has none, or they are of a form that is not known.
    pub fn of_program(prog: &ProgFd) -> Result<Self, AttachError> {
        let failed = |source| AttachError::kernel("read the maps of a program", source);
        let ids = prog.details(ProgParts::MAP_IDS).map_err(failed)?.map_ids;
        let (mut specs, mut ips) = (None, None);
        for id in ids {
            let map = MapFd::by_id(id, MapFlags::empty()).map_err(failed)?;
            match map.info().map_err(failed)?.name() {
                name if is_named(name, SPECS) => specs = Some(map),
                name if is_named(name, IPS) => ips = Some(map),
                _ => {}
            }
        }
        let specs = specs.ok_or_else(|| AttachError::Missing {
            what: "map for the arguments of static probes",
            name: SPECS.to_owned(),
        })?;
        Self::new(&specs, ips.as_ref())
    }

    /// These two; the second is only needed on kernels without cookies.
    ///
    /// # Errors
    /// They are of a form that is not known.
    pub fn new(specs: &MapFd, ips: Option<&MapFd>) -> Result<Self, AttachError> {
        let failed = |source| AttachError::kernel(format!("use map '{SPECS}'"), source);
        let shape = specs.shape().map_err(failed)?;
        let layout = Layout::of_value_size(shape.value_size).filter(|_| shape.key_size == 4);
        let layout = layout.ok_or_else(|| AttachError::Form {
            target: SPECS.to_owned(),
            what: "map for the arguments of static probes",
        })?;
        let id = specs.info().map_err(failed)?.id;
        let ips = ips.map(MapFd::try_clone).transpose().map_err(failed)?;
        let fresh = Arc::new(Shared {
            specs: specs.try_clone().map_err(failed)?,
            ips,
            layout,
            max: shape.max_entries,
            numbers: Mutex::default(),
        });
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = known.get(&id).and_then(Weak::upgrade) {
            return Ok(Self(shared));
        }
        known.insert(id, Arc::downgrade(&fresh));
        Ok(Self(fresh))
    }
}

/// Whether the kernel shows a map of this name so.
fn is_named(shown: &[u8], name: &str) -> bool {
    kernel_name(name).is_some_and(|kept| kept.as_bytes() == shown)
}

impl Shared {
    /// Whether somebody else has described arguments under a number: one who attached earlier and
    /// ended, leaving the link pinned. Probes without arguments and cookie look like nothing.
    fn is_taken(&self, number: u32) -> Result<bool, SysError> {
        let mut value = vec![0; self.layout.value_size()];
        MapLookupElem::new(&self.specs, &number.to_ne_bytes()).run(&mut value)?;
        Ok(value.iter().any(|byte| *byte != 0))
    }
}

/// What an attachment has in the maps.
#[derive(Debug)]
struct Taken {
    maps: Arc<Shared>,
    numbers: Vec<u32>,
    addresses: Vec<u64>,
}

impl Taken {
    /// Takes a number and describes arguments under it.
    fn describe(&mut self, value: &[u8], what: &str) -> Result<u32, AttachError> {
        let failed = |source| AttachError::kernel(format!("describe {what}"), source);
        let number = {
            let mut numbers = lock(&self.maps.numbers);
            loop {
                if let Some(number) = numbers.free.pop() {
                    break number;
                }
                let number = numbers.next;
                if number >= self.maps.max {
                    return Err(AttachError::Options {
                        what: what.to_owned(),
                        why: "the object's map of arguments is full: compile it with a larger BPF_USDT_MAX_SPEC_CNT",
                    });
                }
                numbers.next += 1;
                if !self.maps.is_taken(number).map_err(failed)? {
                    break number;
                }
            }
        };
        self.numbers.push(number);
        MapUpdateElem::new(&self.maps.specs, &number.to_ne_bytes(), value)
            .run()
            .map_err(failed)?;
        Ok(number)
    }

    /// Gives an address a number.
    fn locate(&mut self, address: u64, number: u32, what: &str) -> Result<(), AttachError> {
        let Some(ips) = &self.maps.ips else {
            return Err(AttachError::Missing {
                what: "map for the addresses of static probes",
                name: IPS.to_owned(),
            });
        };
        // an address is as long as one of the kernel's
        let key = address.to_ne_bytes();
        MapUpdateElem::new(ips, &key, &number.to_ne_bytes())
            .flags(ElemFlags::NOEXIST)
            .run()
            .map_err(|source| {
                let what = format!("tell the address {address:#x} of {what}");
                AttachError::kernel(what, source)
            })?;
        self.addresses.push(address);
        Ok(())
    }
}

impl Part for Taken {
    fn undo(&mut self) -> Result<(), AttachError> {
        let mut first = Ok(());
        for address in std::mem::take(&mut self.addresses) {
            let Some(ips) = &self.maps.ips else { continue };
            let removed = MapDeleteElem::new(ips, &address.to_ne_bytes()).run();
            if let Err(source) = removed
                && !source.is(Errno::ENOENT)
                && first.is_ok()
            {
                let what = format!("forget the address {address:#x}");
                first = Err(AttachError::kernel(what, source));
            }
        }
        let nothing = vec![0; self.maps.layout.value_size()];
        for number in &self.numbers {
            let cleared =
                MapUpdateElem::new(&self.maps.specs, &number.to_ne_bytes(), &nothing).run();
            if let Err(source) = cleared
                && first.is_ok()
            {
                let what = format!("forget the arguments under number {number}");
                first = Err(AttachError::kernel(what, source));
            }
        }
        let mut numbers = lock(&self.maps.numbers);
        numbers.free.append(&mut self.numbers);
        first
    }
}

fn lock(numbers: &Mutex<Numbers>) -> std::sync::MutexGuard<'_, Numbers> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A static probe of a file, at all its places.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_usdt")]
pub struct Usdt {
    file: UserFile,
    provider: String,
    name: String,
    cookie: u64,
    form: UsdtForm,
}

/// By what the places of a static probe are attached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum UsdtForm {
    /// One link where kernel and program allow it, else a probe for each place.
    #[default]
    Best,
    /// A probe for each place.
    Each,
}

/// A place to attach to.
struct Found {
    place: UsdtPlace,
    address: u64,
    value: Vec<u8>,
}

impl Usdt {
    /// The probe `PROVIDER:NAME` of a file, given as to [`Uprobe::new`].
    pub fn new(
        path: impl Into<PathBuf>,
        provider: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self::in_file(UserFile::new(path.into()), provider.into(), name.into())
    }

    /// The probe of a file that a process has mapped, as [`Uprobe::mapped`].
    pub fn mapped(
        pid: u32,
        file: impl AsRef<OsStr>,
        provider: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let file = UserFile::mapped(pid, file.as_ref());
        Self::in_file(file, provider.into(), name.into())
    }

    fn in_file(file: UserFile, provider: String, name: String) -> Self {
        Self {
            file,
            provider,
            name,
            cookie: 0,
            form: UsdtForm::Best,
        }
    }

    /// What follows `usdt/` in the name of a section: `PATH:PROVIDER:NAME`.
    ///
    /// # Errors
    /// It has no such form.
    pub fn parse(target: &str) -> Result<Self, AttachError> {
        let mut words = target.split(':');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(path), Some(provider), Some(name), None)
                if ![path, provider, name].contains(&"") =>
            {
                Ok(Self::new(path, provider, name))
            }
            _ => Err(AttachError::Form {
                target: target.to_owned(),
                what: "path, provider and name of a static probe",
            }),
        }
    }

    /// In one process only.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        self.file.pid = Some(pid);
        self
    }

    /// What `bpf_usdt_cookie` gives the program.
    #[must_use]
    #[doc(alias = "usdt_cookie")]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// By what its places are attached.
    #[must_use]
    pub fn form(mut self, form: UsdtForm) -> Self {
        self.form = form;
        self
    }

    /// Attaches a program of the object that the maps are of.
    ///
    /// # Errors
    /// There is no such file or probe, an argument of it is in a place that is not known, or the
    /// program does not fit. On kernels without cookies (before Linux 5.15), probes of files that
    /// are moved in memory can be attached to in one process only.
    pub fn attach(&self, maps: &UsdtMaps, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.to_string();
        let binary = self.file.open()?;
        let found = self.places(&binary, &maps.0)?;
        let cookies = !lacks_cookies();
        let mut taken = Taken {
            maps: Arc::clone(&maps.0),
            numbers: Vec::new(),
            addresses: Vec::new(),
        };
        let numbers = taken.fill(&found, &what, !cookies);
        // From here on, what was taken is given back when something fails.
        let base = Link::without_fd(what.clone(), taken);
        let numbers = numbers?;
        if self.form == UsdtForm::Best && cookies && !lacks_processes() {
            match self.in_one(&binary, &found, &numbers, prog) {
                // The program was loaded for probes one by one.
                Err(error) if error.sys().is_some_and(|sys| sys.is(Errno::EINVAL)) => {}
                other => return other.map(|link| link.with_base(base)),
            }
        }
        let mut links = Vec::with_capacity(found.len());
        for (found, number) in found.iter().zip(numbers) {
            let mut probe = Uprobe::new(binary.path())
                .offset(found.place.offset)
                .ref_ctr_offset(found.place.ref_ctr_offset);
            if let Some(pid) = self.file.pid {
                probe = probe.pid(pid);
            }
            if cookies {
                probe = probe.cookie(u64::from(number));
            }
            links.push(probe.attach(prog)?);
        }
        Ok(Link::group(what, links).with_base(base))
    }

    fn in_one(
        &self,
        binary: &Binary,
        found: &[Found],
        numbers: &[u32],
        prog: &ProgFd,
    ) -> Result<Link, AttachError> {
        let offsets: Vec<u64> = found.iter().map(|found| found.place.offset).collect();
        let counters: Vec<u64> = found
            .iter()
            .map(|found| found.place.ref_ctr_offset)
            .collect();
        let cookies: Vec<u64> = numbers.iter().copied().map(u64::from).collect();
        let mut probes = UprobeMulti::new(binary.path())
            .offsets(offsets)
            .cookies(cookies);
        if counters.iter().any(|offset| *offset != 0) {
            probes = probes.ref_ctr_offsets(counters);
        }
        if let Some(pid) = self.file.pid {
            probes = probes.pid(pid);
        }
        probes.attach(prog)
    }

    /// The places of the probe, with the descriptions of their arguments.
    fn places(&self, binary: &Binary, maps: &Shared) -> Result<Vec<Found>, AttachError> {
        let file = binary.file();
        let fail = |source| {
            AttachError::from(BinaryError::Symbol {
                path: binary.title().to_owned(),
                source,
            })
        };
        let mut addresses = Addresses::new(binary, self.file.pid);
        let mut found: Vec<Found> = Vec::new();
        let probes = binary.static_probes()?;
        let ours = |probe: &&Probe| probe.provider == self.provider && probe.name == self.name;
        for probe in probes.iter().filter(ours) {
            let mut place = probe.place(file).map_err(fail)?;
            let spec = Spec::of(probe, file.machine(), self.cookie).map_err(fail)?;
            let value = spec.encode(maps.layout, Endian::NATIVE);
            let value = value.ok_or_else(|| AttachError::Program {
                program: self.to_string(),
                why: "was compiled with a usdt.bpf.h that knows no arguments at two registers"
                    .into(),
            })?;
            let skip = u64::from(has_better_place(file, place.offset));
            place.offset += skip;
            let address = match lacks_cookies() {
                true => addresses.of(probe.address.wrapping_add(skip), place.offset)?,
                false => 0,
            };
            place.offset = binary.absolute(place.offset);
            if place.ref_ctr_offset != 0 {
                place.ref_ctr_offset = binary.absolute(place.ref_ctr_offset);
            }
            // the same place under two notes would count twice
            if !found.iter().any(|other| other.place == place) {
                found.push(Found {
                    place,
                    address,
                    value,
                });
            }
        }
        if found.is_empty() {
            return Err(fail(SymbolError::NoProbe {
                provider: self.provider.clone(),
                name: self.name.clone(),
            }));
        }
        Ok(found)
    }
}

impl Taken {
    /// Describes the arguments at all places, each description once; the number of each place.
    fn fill(&mut self, found: &[Found], what: &str, locate: bool) -> Result<Vec<u32>, AttachError> {
        let mut known: BTreeMap<&[u8], u32> = BTreeMap::new();
        let mut numbers = Vec::with_capacity(found.len());
        for found in found {
            let number = match known.get(found.value.as_slice()) {
                Some(number) => *number,
                None => {
                    let number = self.describe(&found.value, what)?;
                    known.insert(&found.value, number);
                    number
                }
            };
            if locate {
                self.locate(found.address, number, what)?;
            }
            numbers.push(number);
        }
        Ok(numbers)
    }
}

/// Whether attachments have no values that programs could ask for.
fn lacks_cookies() -> bool {
    Feature::by_name("bpf_cookie").is_some_and(|feature| feature.probe().is_no())
}

/// Whether the second of two instructions that do nothing is the better one to probe.
fn has_better_place(file: &ElfFile<Source>, offset: u64) -> bool {
    usdt::has_fast_nop(file, offset) && probe::ten_byte_nop().is_yes()
}

/// Addresses at which the kernel reports probes.
struct Addresses<'a> {
    binary: &'a Binary,
    pid: Option<u32>,
    mappings: Option<Vec<Mapping>>,
}

impl<'a> Addresses<'a> {
    fn new(binary: &'a Binary, pid: Option<u32>) -> Self {
        Self {
            binary,
            pid,
            mappings: None,
        }
    }

    /// The one of a place: `address` before the file is moved in memory, `offset` in the file.
    fn of(&mut self, address: u64, offset: u64) -> Result<u64, AttachError> {
        if self.binary.file().is_at_fixed_addresses() {
            return Ok(address);
        }
        let Some(pid) = self.pid else {
            return Err(AttachError::Unsupported {
                what: format!(
                    "attach to static probes of {} in all processes",
                    self.binary.title()
                ),
                hint: Some("name one process; Linux 5.15 brought what others need".into()),
            });
        };
        let mappings = match &mut self.mappings {
            Some(mappings) => mappings,
            none => none.insert(search::mappings(pid).map_err(BinaryError::from)?),
        };
        let inode = std::fs::metadata(self.binary.path()).map(|meta| meta.ino());
        let offset = self.binary.absolute(offset);
        let mut code = mappings.iter().filter(|mapping| mapping.is_code);
        let found = code.find_map(|mapping| {
            let into = offset.checked_sub(mapping.offset)?;
            let address = mapping.start.checked_add(into)?;
            (inode.as_ref().is_ok_and(|inode| *inode == mapping.inode) && address < mapping.end)
                .then_some(address)
        });
        found.ok_or_else(|| AttachError::Missing {
            what: "mapping in the process of",
            name: self.binary.title().to_owned(),
        })
    }
}

impl fmt::Display for Usdt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, provider, name) = (self.file.path.display(), &self.provider, &self.name);
        write!(f, "usdt {path}:{provider}:{name}")?;
        match self.file.pid {
            Some(pid) => write!(f, " in process {pid}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_sections() {
        let shown = |target| Usdt::parse(target).map(|probe| probe.to_string());
        assert_eq!(shown("/a:b:c").unwrap(), "usdt /a:b:c");
        for target in ["", "/a", "/a:b", "/a:b:", ":b:c", "/a::c", "/a:b:c:d"] {
            let error = shown(target).unwrap_err().to_string();
            assert!(
                error.ends_with("is no path, provider and name of a static probe"),
                "{error}"
            );
        }
    }
}
