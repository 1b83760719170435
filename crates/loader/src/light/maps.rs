//! Steps that make maps and put something into them.

use super::LightError;
use super::generate::Generator;
use super::step::Step;
use crate::model::{Slot, SlotValue};
use crate::relocate::{MapPlan, MapSpec};
use bpfsys::insn::asm::{R0, R1, R2, R3, R6, ldx, mov64_imm};
use bpfsys::insn::{JmpOp, Size};
use bpfsys::uapi::attr::{MapCreateAttr, MapElemAttr, MapFreezeAttr, OBJ_NAME_LEN};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::helpers::HelperId;
use bpfsys::{Cmd, MapType};
use std::mem::offset_of;

use super::blob::Place;
use super::layout::Layout;

impl Generator<'_> {
    /// Makes the map and gives it its value.
    pub(super) fn make_map(&mut self, plan: &MapPlan) -> Result<(), LightError> {
        if let Some(inner) = &plan.inner {
            self.make_inner(plan, inner)?;
        }
        self.begin(Step::CreateMap(plan.name.clone()));
        let attr = self.map_attr(&plan.name, &plan.spec)?;
        if plan.inner.is_some() {
            let field = attr.field(offset_of!(MapCreateAttr, inner_map_fd));
            self.out.copy(self.table.inner(), field);
        }
        if !self.hashed {
            // Whoever runs a program whose data is signed has no say in the sizes.
            let field = attr.field(offset_of!(MapCreateAttr, max_entries));
            let from = self.layout.max_entries(plan.map.index());
            self.out.copy_from_ctx_if_set(Size::W, from, field);
        }
        self.out.command(Cmd::MAP_CREATE, attr, MAP_ATTR_SIZE);
        self.out.check();
        self.out.keep(self.table.map(plan.map.0));
        if plan.inner.is_some() {
            self.out.close_all(self.table.inner(), 1);
        }
        self.fill(plan)
    }

    /// Makes the pattern for the maps inside.
    fn make_inner(&mut self, plan: &MapPlan, inner: &MapSpec) -> Result<(), LightError> {
        self.begin(Step::CreateInner(plan.name.clone()));
        let attr = self.map_attr(&format!("{}.inner", plan.name), inner)?;
        self.out.command(Cmd::MAP_CREATE, attr, MAP_ATTR_SIZE);
        self.out.check();
        self.out.keep(self.table.inner());
        Ok(())
    }

    fn map_attr(&mut self, name: &str, spec: &MapSpec) -> Result<Place, LightError> {
        let attr = self.blob.reserve(MAP_ATTR_SIZE)?;
        let mut flags = spec.flags;
        flags.set(MapFlags::NUMA_NODE, spec.numa_node.is_some());
        let (key_type, value_type) = (spec.key_type.0, spec.value_type.0);
        for (field, value) in [
            (offset_of!(MapCreateAttr, map_type), spec.map_type.0),
            (offset_of!(MapCreateAttr, key_size), spec.key_size),
            (offset_of!(MapCreateAttr, value_size), spec.value_size),
            (offset_of!(MapCreateAttr, max_entries), spec.max_entries),
            (offset_of!(MapCreateAttr, map_flags), flags.bits()),
            (
                offset_of!(MapCreateAttr, numa_node),
                spec.numa_node.unwrap_or(0),
            ),
            (offset_of!(MapCreateAttr, map_ifindex), spec.ifindex),
            (offset_of!(MapCreateAttr, btf_key_type_id), key_type),
            (offset_of!(MapCreateAttr, btf_value_type_id), value_type),
        ] {
            self.blob.set_u32(attr.field(field), value);
        }
        let extra = attr.field(offset_of!(MapCreateAttr, map_extra));
        self.blob.set_u64(extra, spec.map_extra);
        let field = attr.field(offset_of!(MapCreateAttr, map_name));
        self.blob.write(field, object_name(name));
        if key_type != 0 || value_type != 0 {
            let field = attr.field(offset_of!(MapCreateAttr, btf_fd));
            self.out.copy(self.table.types(), field);
        }
        Ok(attr)
    }

    /// The value of key 0 of a data map; freezes it where programs only read.
    fn fill(&mut self, plan: &MapPlan) -> Result<(), LightError> {
        if !self.is_data(plan.map) {
            return Ok(());
        }
        let value = plan.value.as_deref().filter(|value| !is_zero(value));
        // A new map is all zero already, and programs with signed data take no other value.
        if value.is_some() || !self.hashed {
            self.begin(Step::Fill(plan.name.clone()));
            let (given, done) = (self.out.label(), self.out.label());
            let (place, as_it_is) = match value {
                Some(value) => (self.blob.add(value)?, given),
                None => (self.zeros, done),
            };
            if !self.hashed {
                let from = self.layout.initial_value(plan.map.index());
                self.out.push(ldx(Size::Dw, R3, R6, from));
                self.out.jump_if(JmpOp::Eq, R3, 0, as_it_is);
                self.take_value(place, plan.spec.value_size)?;
            }
            self.out.place(given);
            let key = self.zero_key;
            self.update(self.table.map(plan.map.0), key, place)?;
            self.out.place(done);
        }
        if plan.freeze {
            self.begin(Step::Freeze(plan.name.clone()));
            self.freeze(self.table.map(plan.map.0))?;
        }
        Ok(())
    }

    pub(super) fn freeze(&mut self, map: Place) -> Result<(), LightError> {
        let attr = self.blob.reserve(size_of::<MapFreezeAttr>())?;
        let field = attr.field(offset_of!(MapFreezeAttr, map_fd));
        self.out.copy(map, field);
        self.out
            .command(Cmd::MAP_FREEZE, attr, size_of::<MapFreezeAttr>());
        self.out.check();
        Ok(())
    }

    /// A map of the loader's own, with keys of four bytes.
    pub(super) fn make_array(
        &mut self,
        map_type: MapType,
        name: &str,
        value_size: u32,
        max_entries: u32,
        descriptor: Place,
    ) -> Result<(), LightError> {
        let spec = MapSpec::new(map_type, 4, value_size, max_entries);
        let attr = self.map_attr(name, &spec)?;
        self.out.command(Cmd::MAP_CREATE, attr, MAP_ATTR_SIZE);
        self.out.check();
        self.out.keep(descriptor);
        Ok(())
    }

    /// Reads the value at the address in register 3, of the process or, where the context says
    /// so, of the kernel.
    fn take_value(&mut self, to: Place, len: u32) -> Result<(), LightError> {
        let (kernel, taken) = (self.out.label(), self.out.label());
        let len = i32::try_from(len).map_err(|_too_long| LightError::TooLong)?;
        self.out.address(R1, to);
        self.out.push(mov64_imm(R2, len));
        self.out.push(ldx(Size::W, R0, R6, Layout::FLAGS));
        self.out.jump_if(JmpOp::Set, R0, 1, kernel);
        self.out.call(HelperId::COPY_FROM_USER);
        self.out.jump(taken);
        self.out.place(kernel);
        self.out.call(HelperId::PROBE_READ_KERNEL);
        self.out.place(taken);
        Ok(())
    }

    /// Puts maps or programs into a map of them.
    pub(super) fn fill_slots(&mut self, plan: &MapPlan) -> Result<(), LightError> {
        for Slot { index, value } in &plan.slots {
            let from = match value {
                SlotValue::Map(inner) => self.table.map(inner.0),
                SlotValue::Prog(prog) => match self.prog_number(*prog) {
                    Some(number) => self.table.prog(number),
                    // It is not loaded, so the slot stays empty.
                    None => continue,
                },
            };
            self.begin(Step::FillSlot {
                map: plan.name.clone(),
                index: *index,
            });
            let key = self.blob.add_words([*index])?;
            self.update(self.table.map(plan.map.0), key, from)?;
        }
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        map: Place,
        key: Place,
        value: Place,
    ) -> Result<(), LightError> {
        self.out.lay_path();
        let attr = self.blob.reserve(size_of::<MapElemAttr>())?;
        let field = |offset| attr.field(offset);
        self.out.copy(map, field(offset_of!(MapElemAttr, map_fd)));
        self.out
            .put_address(field(offset_of!(MapElemAttr, key)), key);
        self.out
            .put_address(field(offset_of!(MapElemAttr, value)), value);
        self.out
            .command(Cmd::MAP_UPDATE_ELEM, attr, size_of::<MapElemAttr>());
        self.out.check();
        Ok(())
    }
}

/// Up to the last field that a loader program sets, so that older kernels take it too.
const MAP_ATTR_SIZE: usize = offset_of!(MapCreateAttr, map_extra) + size_of::<u64>();

/// As much of a name as the kernel keeps.
pub(super) fn object_name(name: &str) -> &[u8] {
    let name = name.as_bytes();
    name.get(..OBJ_NAME_LEN - 1).unwrap_or(name)
}

pub(super) fn is_zero(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == 0)
}
