//! Maps of the kernel, as views.

use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::{MapFd, MapId, MapType, ProgType};

use super::view::{MapHeader, MapView};
use crate::failure::{Failure, Result};
use crate::kernel::{Kernel, ObjectKind};
use crate::netdev::DevView;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;
use crate::surroundings::{Listed, Surroundings};

/// Everything that is said about these maps.
pub fn gather(
    kernel: &Kernel,
    with_pins: bool,
    maps: impl FnOnce() -> Result<Listed<MapView, MapFd>>,
) -> Result<Vec<MapView>> {
    let (mut around, listed) = Surroundings::gather(kernel, ObjectKind::Map, with_pins, maps);
    let views = listed?.into_items().map(|(mut view, fd)| {
        let id = view.header.id;
        let reopen = || MapFd::by_id(MapId::new(id)?, MapFlags::RDONLY).ok();
        let fd_info = around.fd_info(id, || fd.or_else(reopen));
        view.bytes_memlock = fd_info.memlock;
        view.frozen = fd_info.frozen.unwrap_or_default().into();
        let is_prog_array = view.header.r#type.is(MapType::PROG_ARRAY.name());
        view.owner_prog_type = fd_info
            .owner_prog_type
            .filter(|_| is_prog_array)
            .map(|owner| NameOrNumber::new(ProgType(owner).name(), owner));
        view.owner_jited = fd_info.owner_jited.filter(|_| is_prog_array);
        view.pinned = around.pinned(id);
        view.pids = around.holders(id);
        view
    });
    Ok(views.collect())
}

/// Every map of the kernel.
pub fn all() -> Result<Listed<MapView, MapFd>> {
    these(
        bpfsys::maps(MapFlags::RDONLY)
            .map(|map| map.map_err(|error| Failure::because("can't get next map", error))),
    )
}

/// The maps given.
pub fn these(maps: impl IntoIterator<Item = Result<MapFd>>) -> Result<Listed<MapView, MapFd>> {
    let mut listed = Listed::default();
    for map in maps {
        let map = map?;
        listed.push(view(&info(&map)?), map);
    }
    Ok(listed)
}

/// What a map says about itself.
fn view(info: &MapInfo) -> MapView {
    MapView {
        header: header(info),
        dev: DevView::of(info.ifindex, info.netns_dev, info.netns_ino),
        bytes_key: info.key_size,
        bytes_value: info.value_size,
        max_entries: info.max_entries,
        bytes_memlock: None,
        owner_prog_type: None,
        owner_jited: None,
        frozen: 0,
        btf_id: Some(info.btf_id).filter(|id| *id != 0),
        pinned: None,
        pids: Vec::new(),
    }
}

/// The kernel's information about a map.
pub fn info(map: &MapFd) -> Result<MapInfo> {
    map.info()
        .map_err(|error| Failure::because("can't get map info", error))
}

/// The keys that name a map.
#[must_use]
pub fn header(info: &MapInfo) -> MapHeader {
    let r#type = info.type_();
    MapHeader {
        id: info.id,
        r#type: NameOrNumber::new(r#type.name(), r#type.0),
        name: Some(Text::from(info.name())).filter(|name| !name.0.is_empty()),
        flags: info.map_flags,
    }
}
