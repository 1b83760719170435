//! Sets of operations that the kernel calls: `struct_ops`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{LinkCreate, MapCreate, MapUpdateElem, ProgLoad};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AttachType, MapFd, MapType, ProgFd, ProgType};
use btf::{Btf, Kind, Type, TypeId};

use super::{Ground, Held, LinkRecipe, link};
use crate::state::Lacking;
use crate::state::progs::asm;
use crate::state::types::Types;

pub(super) const RECIPES: [LinkRecipe; 3] = [
    link("struct_ops", (6, 4), congestion),
    link("struct_ops scheduler", (6, 12), scheduler)
        .config("CONFIG_SCHED_CLASS_EXT")
        .whole_machine(),
    link("struct_ops HID", (6, 11), hid)
        .config("CONFIG_HID_BPF")
        .whole_machine(),
];

/// The value of a `struct_ops` map under construction.
struct Ops<'a> {
    kernel: &'a Btf<'a>,
    /// The structure with the operations.
    ops: TypeId,
    /// What the map holds: bookkeeping, and the structure.
    value_type: TypeId,
    value: Vec<u8>,
    /// Where in the value the structure is.
    data: usize,
    progs: Vec<ProgFd>,
}

impl<'a> Ops<'a> {
    fn new(kernel: &'a Btf<'a>, name: &str) -> Result<Self> {
        let find = |name: String| {
            kernel
                .find_by_name_kind(name.as_bytes(), Kind::Struct)
                .ok_or_else(|| Lacking(format!("struct {name}")))
        };
        let ops = find(name.to_owned())?;
        let value_type = find(format!("bpf_struct_ops_{name}"))?;
        let size = usize::try_from(kernel.size_of(value_type)?).context("a size")?;
        let (data, _) = member(kernel, value_type, "data")?;
        Ok(Self {
            kernel,
            ops,
            value_type,
            value: vec![0; size],
            data,
            progs: Vec::new(),
        })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let (at, _) = member(self.kernel, self.ops, name)?;
        let at = self.data + at;
        self.value
            .get_mut(at..at + bytes.len())
            .context("a member beyond its struct")?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// An operation that returns a number.
    fn returning(&mut self, func: &str, ret: i32) -> Result<()> {
        let (_, index) = member(self.kernel, self.ops, func)?;
        let insns = asm(&format!("r0 = {ret}\nexit"))?;
        let prog = ProgLoad::new(ProgType::STRUCT_OPS, &insns)
            .license("GPL")
            .name(func.get(..15).unwrap_or(func))
            .attach_btf_id(self.ops.get())
            .expected_attach_type(AttachType(index))
            .run()
            .with_context(|| format!("load {func}"))?;
        self.put(func, &i64::from(prog.as_raw_fd()).to_ne_bytes())?;
        self.progs.push(prog);
        Ok(())
    }

    /// The filled map, of the kind that a link registers: one that is registered by being
    /// filled would outlive every descriptor of it.
    fn map(self, types: &Types, name: &str) -> Result<(MapFd, Vec<ProgFd>)> {
        let size = u32::try_from(self.value.len())?;
        let map = MapCreate::new(MapType::STRUCT_OPS, 4, size, 1)
            .name(name)
            .flags(MapFlags::LINK)
            // No type of it is used, but the kernel insists on some BTF.
            .btf(&types.fd, 0, 0)
            .vmlinux_value_type(self.value_type.get(), None)
            .run()
            .context("make a struct_ops map")?;
        MapUpdateElem::new(&map, &0_u32.to_ne_bytes(), &self.value)
            .run()
            .context("fill a struct_ops map")?;
        Ok((map, self.progs))
    }
}

/// Where a member is, in bytes, and which one it is.
fn member(kernel: &Btf<'_>, of: TypeId, name: &str) -> Result<(usize, u32)> {
    let (_, ty) = kernel.resolve(of)?;
    let Type::Struct(s) = ty else {
        anyhow::bail!("not a struct")
    };
    let (index, m) = s
        .members()
        .enumerate()
        .find(|(_, m)| m.name.or_empty() == name.as_bytes())
        .with_context(|| format!("no member {name}"))?;
    Ok((usize::try_from(m.bit_offset / 8)?, u32::try_from(index)?))
}

/// A filled `struct_ops` map of TCP congestion control, and its programs.
///
/// # Errors
///
/// If the kernel's BTF lacks the type, or the kernel refuses any part.
pub fn congestion_control(
    kernel: &Btf<'_>,
    types: &Types,
    name: &str,
) -> Result<(MapFd, Vec<ProgFd>)> {
    let mut ops = Ops::new(kernel, "tcp_congestion_ops")?;
    for (func, ret) in [("ssthresh", 2), ("cong_avoid", 0), ("undo_cwnd", 2)] {
        ops.returning(func, ret)?;
    }
    ops.put("name", name.as_bytes())?;
    ops.map(types, "test_cc")
}

fn registered((map, progs): (MapFd, Vec<ProgFd>)) -> Result<Held> {
    let link = LinkCreate::struct_ops(&map).run()?;
    let mut held = Held {
        label: "",
        link,
        prog: None,
        _with: vec![map.into()],
    };
    for prog in progs {
        held = held.with(prog);
    }
    Ok(held)
}

/// A congestion control of ours; no socket chooses it.
fn congestion(g: &Ground<'_>) -> Result<Held> {
    // The names of congestion controls are shared by the whole machine.
    let name = format!("rbpf_cc_{}", std::process::id());
    registered(congestion_control(g.kernel, g.types, &name)?)
}

/// `SCX_OPS_SWITCH_PARTIAL`: only for tasks that ask for it, and none does.
const SWITCH_PARTIAL: u64 = 1 << 3;

/// A scheduler that leaves everything to the kernel.
fn scheduler(g: &Ground<'_>) -> Result<Held> {
    let mut ops = Ops::new(g.kernel, "sched_ext_ops")?;
    ops.put("name", b"rbpf_sched")?;
    ops.put("flags", &SWITCH_PARTIAL.to_ne_bytes())?;
    registered(ops.map(g.types, "test_sched")?)
}

/// Something that looks at each report of an input device of our own.
fn hid(g: &Ground<'_>) -> Result<Held> {
    let mut ops = Ops::new(g.kernel, "hid_bpf_ops")?;
    let (device, id) = input_device()?;
    ops.returning("hid_device_event", 0)?;
    ops.put("hid_id", &id.to_ne_bytes())?;
    Ok(registered(ops.map(g.types, "test_hid")?)?.with(device))
}

/// A mouse with one button: what it says of itself.
const MOUSE: [u8; 27] = [
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x01, 0x15, 0x00, 0x25, 0x01,
    0x75, 0x01, 0x95, 0x01, 0x81, 0x02, 0x95, 0x07, 0x81, 0x01, 0xc0,
];

/// A device that exists as long as the file is open, and its number.
fn input_device() -> Result<(File, u32)> {
    const CREATE2: u32 = 11;
    const BUS_USB: u16 = 3;
    const VENDOR: u32 = 0x1209;
    const PRODUCT: u32 = 0xbf01;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/uhid")
        .context("open /dev/uhid")?;
    // Name, physical path, unique id; then the numbers and the descriptor.
    let mut event = CREATE2.to_ne_bytes().to_vec();
    event.extend_from_slice(b"rbpftool test");
    event.resize(4 + 128 + 64 + 64, 0);
    event.extend_from_slice(&u16::try_from(MOUSE.len())?.to_ne_bytes());
    event.extend_from_slice(&BUS_USB.to_ne_bytes());
    for number in [VENDOR, PRODUCT, 0, 0] {
        event.extend_from_slice(&number.to_ne_bytes());
    }
    event.extend_from_slice(&MOUSE);
    event.resize(4 + 128 + 64 + 64 + 20 + 4096, 0);
    file.write_all(&event).context("make an input device")?;
    let prefix = format!("{BUS_USB:04X}:{VENDOR:04X}:{PRODUCT:04X}.");
    // It is announced by a worker of the kernel.
    for _ in 0..200 {
        for entry in std::fs::read_dir("/sys/bus/hid/devices")
            .into_iter()
            .flatten()
        {
            let name = entry.context("list input devices")?.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix(&prefix));
            if let Some(number) = number {
                let id = u32::from_str_radix(number, 16).context("a device's number")?;
                return Ok((file, id));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("no {prefix}* appeared among the input devices")
}
