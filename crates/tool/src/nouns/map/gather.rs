//! Maps of the kernel, as views.

use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::{ErrorKind, MapFd, MapType, ProgType};

use super::view::{MapHeader, MapView};
use crate::failure::{Failure, Result};
use crate::holders::Holders;
use crate::kernel::{Kernel, ObjectKind};
use crate::netdev::DevView;
use crate::nouns::NameOrNumber;
use crate::pins::Pins;
use crate::procfs::FdInfoReader;
use crate::render::escape::Text;

/// Gathers maps; what all of them need is looked up once.
#[derive(Debug)]
pub struct Gatherer {
    pins: Option<Pins>,
    holders: Holders,
    fd_infos: Option<FdInfoReader>,
}

impl Gatherer {
    /// Looks at the processes, and at the pins when `with_pins`.
    #[must_use]
    pub fn new(kernel: &Kernel, with_pins: bool) -> Self {
        Self {
            pins: with_pins.then(|| Pins::gather(kernel, ObjectKind::Map)),
            holders: Holders::gather(kernel, ObjectKind::Map),
            fd_infos: FdInfoReader::open(&kernel.proc_root().join("self")).ok(),
        }
    }

    /// Everything that is said about one map.
    pub fn map(&mut self, map: &MapFd) -> Result<MapView> {
        let info = info(map)?;
        let fd_info = self
            .fd_infos
            .as_mut()
            .and_then(|infos| infos.read_own(map).ok())
            .unwrap_or_default();
        let is_prog_array = info.type_() == MapType::PROG_ARRAY;
        Ok(MapView {
            header: header(&info),
            dev: DevView::of(info.ifindex, info.netns_dev, info.netns_ino),
            bytes_key: info.key_size,
            bytes_value: info.value_size,
            max_entries: info.max_entries,
            bytes_memlock: fd_info.memlock,
            owner_prog_type: fd_info.owner_prog_type.filter(|_| is_prog_array).map(
                |owner| NameOrNumber::new(ProgType(owner).name(), owner),
            ),
            owner_jited: fd_info.owner_jited.filter(|_| is_prog_array),
            frozen: fd_info.frozen.unwrap_or_default().into(),
            btf_id: Some(info.btf_id).filter(|id| *id != 0),
            pinned: self.pins.as_ref().and_then(|pins| pins.of(info.id)),
            pids: self.holders.of(info.id).to_vec(),
        })
    }

    /// Every map of the kernel, handed to `each` one at a time.
    pub fn all(&mut self, mut each: impl FnMut(MapView) -> Result<()>) -> Result<()> {
        for id in bpfsys::map_ids() {
            let id = id.map_err(|error| Failure::because("can't get next map", error))?;
            match MapFd::by_id(id, MapFlags::RDONLY) {
                Ok(map) => each(self.map(&map)?)?,
                // gone since it was listed
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Failure::because(
                        format_args!("can't get map by id ({id})"),
                        error,
                    ));
                }
            }
        }
        Ok(())
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
