//! Programs of the kernel, as views.

use bpfsys::cmd::{ProgDetails, ProgParts};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::ProgInfo;
use bpfsys::{BtfFd, BtfId, MapFd, MapId, MapType, ProgFd, ProgId};
use btf::{Btf, Type};
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::view::{ProgHeader, ProgView};
use crate::failure::{Failure, Result};
use crate::kernel::{Kernel, ObjectKind};
use crate::names::ProgNames;
use crate::netdev::DevView;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;
use crate::render::tree::{Style, Tree};
use crate::surroundings::{Listed, Surroundings};

/// The prefix of variables that describe a program.
const METADATA_PREFIX: &[u8] = b"bpf_metadata_";

/// Everything that is said about these programs.
pub fn gather(
    kernel: &Kernel,
    with_pins: bool,
    progs: impl FnOnce() -> Result<Listed<ProgView, ProgFd>>,
) -> Result<Vec<ProgView>> {
    let (mut around, listed) = Surroundings::gather(kernel, ObjectKind::Prog, with_pins, progs);
    let views = listed?.into_items().map(|(mut view, fd)| {
        let id = view.header.id;
        let reopen = || ProgFd::by_id(ProgId::new(id)?).ok();
        view.bytes_memlock = around.fd_info(id, || fd.or_else(reopen)).memlock;
        view.pinned = around.pinned(id);
        view.pids = around.holders(id);
        view
    });
    Ok(views.collect())
}

/// Every program of the kernel.
pub fn all(style: Style) -> Result<Listed<ProgView, ProgFd>> {
    let progs = bpfsys::progs()
        .map(|prog| prog.map_err(|error| Failure::because("can't get next program", error)));
    these(progs, style)
}

/// The programs given.
pub fn these(
    progs: impl IntoIterator<Item = Result<ProgFd>>,
    style: Style,
) -> Result<Listed<ProgView, ProgFd>> {
    let mut names = ProgNames::default();
    let boot = Clocks::read();
    let mut listed = Listed::default();
    for prog in progs {
        let prog = prog?;
        listed.push(view(&prog, &mut names, boot, style)?, prog);
    }
    Ok(listed)
}

/// What a program says about itself.
fn view(
    prog: &ProgFd,
    names: &mut ProgNames,
    boot: Option<Clocks>,
    style: Style,
) -> Result<ProgView> {
    let (details, orphaned) = match prog.details(ProgParts::MAP_IDS) {
        Ok(details) => (details, false),
        // the device of an offloaded program is gone; nothing else is told about it
        Err(error) if error.is(Errno::ENODEV) => (ProgDetails::default(), true),
        Err(error) => return Err(Failure::because("can't get prog info", error)),
    };
    let info = &details.info;
    let loaded = (info.load_time != 0).then_some(info.load_time);
    Ok(ProgView {
        header: header(prog, info, names),
        dev: DevView::of(info.ifindex, info.netns_dev, info.netns_ino),
        loaded_at: loaded.zip(boot).map(|(time, boot)| boot.wall_clock(time)),
        uid: loaded.map(|_| info.created_by_uid),
        orphaned,
        bytes_xlated: info.xlated_prog_len,
        jited: info.jited_prog_len != 0,
        bytes_jited: Some(info.jited_prog_len).filter(|bytes| *bytes != 0),
        bytes_memlock: None,
        map_ids: details.map_ids.iter().map(|id| id.get()).collect(),
        btf_id: Some(info.btf_id).filter(|id| *id != 0),
        pinned: None,
        pids: Vec::new(),
        metadata: metadata(&details, style).unwrap_or_default(),
    })
}

/// The keys that name a program.
pub fn header(prog: &ProgFd, info: &ProgInfo, names: &mut ProgNames) -> ProgHeader {
    let name = names.full_name(prog, info);
    let ran = info.run_time_ns != 0;
    let r#type = info.type_();
    ProgHeader {
        id: info.id,
        r#type: NameOrNumber::new(r#type.name(), r#type.0),
        name: Some(Text(name)).filter(|name| !name.0.is_empty()),
        tag: info.tag.iter().map(|byte| format!("{byte:02x}")).collect(),
        gpl_compatible: info.gpl_compatible(),
        run_time_ns: ran.then_some(info.run_time_ns),
        run_cnt: ran.then_some(info.run_cnt),
        recursion_misses: Some(info.recursion_misses).filter(|misses| *misses != 0),
    }
}

/// The `bpf_metadata_` variables of the first read-only data map, as a map of values.
/// Anything odd on the way means that there is no metadata to show.
fn metadata(details: &ProgDetails, style: Style) -> Option<Tree> {
    let (map, info) = details
        .map_ids
        .iter()
        .find_map(|id| rodata(*id).transpose())?
        .ok()?;
    let mut value = vec![0; usize::try_from(info.value_size).ok()?];
    bpfsys::cmd::MapLookupElem::new(&map, &0u32.to_ne_bytes())
        .run(&mut value)
        .ok()?;
    let data = BtfFd::by_id(BtfId::new(info.btf_id)?).ok()?.data().ok()?;
    let btf = Btf::parse(data).ok()?;
    let Type::Datasec(section) = btf.type_by_id(info.btf_value_type_id).ok()? else {
        return None;
    };
    let mut entries = Vec::new();
    for variable in section.vars() {
        let Ok(Type::Var(var)) = btf.type_by_id(variable.type_id) else {
            continue;
        };
        let Some(name) = var.name().or_empty().strip_prefix(METADATA_PREFIX) else {
            continue;
        };
        let start = usize::try_from(variable.offset).ok()?;
        let Some(bytes) = value.get(start..) else {
            continue;
        };
        let shown = btf::value::decode(&btf, var.type_id(), bytes);
        entries.push((Text::from(name), Tree::new(&shown, style)));
    }
    Some(Tree::Map(entries))
}

/// Whether a map is the read-only data of a program: as bpftool decides it.
fn rodata(
    id: MapId,
) -> std::result::Result<Option<(MapFd, bpfsys::uapi::info::MapInfo)>, bpfsys::SysError> {
    let map = MapFd::by_id(id, MapFlags::RDONLY)?;
    let info = map.info()?;
    let fits = info.type_() == MapType::ARRAY
        && info.key_size == 4
        && info.max_entries == 1
        && info.btf_value_type_id != 0
        && memchr::memmem::find(info.name(), b".rodata").is_some();
    Ok(fits.then_some((map, info)))
}

/// Both clocks at one moment, to tell when something that is dated from the boot happened.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    /// Wall clock minus time since boot, in nanoseconds.
    offset: i128,
}

impl Clocks {
    fn read() -> Option<Self> {
        let nanoseconds = |clock| {
            let time = clock_gettime(clock).ok()?;
            Some(i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
        };
        Some(Self {
            offset: nanoseconds(ClockId::CLOCK_REALTIME)? - nanoseconds(ClockId::CLOCK_BOOTTIME)?,
        })
    }

    /// Seconds since 1970 of a moment given in nanoseconds since boot.
    fn wall_clock(self, since_boot: u64) -> i64 {
        let seconds = (self.offset + i128::from(since_boot)).div_euclid(1_000_000_000);
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }
}
