//! From an object to a loader program.

use super::blob::{Blob, Place};
use super::emit::Emitter;
use super::layout::Layout;
use super::maps::is_zero;
use super::step::Step;
use super::symbols::{Symbol, symbols};
use super::table::Table;
use super::target::Everything;
use super::{LightError, LightMap, LightOptions, LightProg, LightProgram};
use crate::model::{MapIdx, MapOrigin, Object, ProgIdx, Program};
use crate::relocate::{Late, LoadPlan, MapAction, MapPlan, ProgPlan};
use crate::sha256::sha256;
use bpfsys::insn::asm::{R1, R2, R7, ld_map_idx, ldx, mov64_imm};
use bpfsys::insn::opcode::split_imm64;
use bpfsys::insn::{Insn, JmpOp, Size};
use bpfsys::uapi::attr::BtfLoadAttr;
use bpfsys::{Cmd, MapType};
use btf::Endian;
use nix::errno::Errno;
use std::mem::offset_of;

/// Up to the last field that a loader program sets.
const BTF_ATTR_SIZE: usize = offset_of!(BtfLoadAttr, btf_log_level) + size_of::<u32>();
/// Where a map of the kernel keeps the hash of its value, and behind it whether one program only
/// may use it.
const MAP_SHA: usize = 0;
const MAP_EXCL: i16 = 32;

/// A program that is to be loaded.
pub(super) struct Selected<'a> {
    pub(super) program: &'a Program,
    pub(super) plan: &'a ProgPlan,
    pub(super) late: &'a Late,
    pub(super) symbols: Vec<Symbol>,
}

/// Everything that is put together on the way.
pub(super) struct Generator<'a> {
    object: &'a Object,
    pub(super) layout: Layout,
    pub(super) blob: Blob,
    pub(super) out: Emitter,
    pub(super) table: Table,
    /// Whether whoever runs the program has no say, since its data is signed.
    pub(super) hashed: bool,
    /// Whether the object's types are loaded.
    pub(super) types: bool,
    /// Room for the longest value that is all zero.
    pub(super) zeros: Place,
    pub(super) zero_key: Place,
    pub(super) license: Place,
    loaded: Vec<ProgIdx>,
    progress: Place,
    steps: Vec<Step>,
}

/// Makes the program that makes the object's maps and loads its programs.
///
/// # Errors
/// The object has a part that only a process can handle, or a program that makes no sense.
pub fn generate(object: &Object, options: &LightOptions<'_>) -> Result<LightProgram, LightError> {
    refuse(object)?;
    let target = Everything(options.target);
    let (plan, late) = LoadPlan::deferred(object, &target, &options.plan)?;
    let selected = select(object, &plan, &late)?;
    let mut generator = Generator::new(object, options.hash, &plan, &selected)?;
    let hash_slots = if options.hash {
        generator.verify()
    } else {
        Vec::new()
    };
    if let Some(btf) = &plan.btf {
        generator.load_types(&btf.data)?;
    }
    let made = |map: &&MapPlan| matches!(map.action, MapAction::Create);
    for map in plan.maps.iter().filter(made) {
        generator.make_map(map)?;
    }
    let of_maps = |map: &&MapPlan| map.spec.map_type.is_map_of_maps();
    for map in plan.maps.iter().filter(made).filter(of_maps) {
        generator.fill_slots(map)?;
    }
    for (number, selected) in (0..).zip(&selected) {
        generator.load_program(number, selected)?;
    }
    for map in plan.maps.iter().filter(made).filter(|map| !of_maps(map)) {
        generator.fill_slots(map)?;
    }
    generator.hand_over(&plan.maps);
    generator.finish(&plan.maps, &selected, &hash_slots)
}

/// Refuses what no loader program can do.
fn refuse(object: &Object) -> Result<(), LightError> {
    for map in object.maps().iter().filter(|map| map.autocreate) {
        let why = if matches!(map.origin, MapOrigin::StructOps(_)) {
            "a loader program cannot lay out a value of a kernel type"
        } else if map.reuse.is_some() {
            "a loader program cannot use a map that is there already"
        } else if map.exclusive.is_some() {
            "a loader program cannot tell the kernel which program may use a map"
        } else if map.spec.map_type == MapType::ARENA && !map.data.is_empty() {
            "a loader program cannot write to an arena"
        } else {
            continue;
        };
        return Err(LightError::Unsupported {
            part: format!("map '{}'", map.name),
            why,
        });
    }
    Ok(())
}

fn select<'a>(
    object: &'a Object,
    plan: &'a LoadPlan,
    late: &'a [Late],
) -> Result<Vec<Selected<'a>>, LightError> {
    let mut selected = Vec::with_capacity(plan.programs.len());
    for (plan, late) in plan.programs.iter().zip(late) {
        let Some(program) = object.programs().get(plan.prog.index()) else {
            continue;
        };
        selected.push(Selected {
            program,
            plan,
            late,
            symbols: symbols(object, &program.name, late)?,
        });
    }
    Ok(selected)
}

impl<'a> Generator<'a> {
    fn new(
        object: &'a Object,
        hashed: bool,
        plan: &LoadPlan,
        selected: &[Selected<'_>],
    ) -> Result<Self, LightError> {
        let (maps, progs) = (plan.maps.len(), selected.len());
        let layout = Layout::new(maps, progs)?;
        let mut blob = Blob::new(object.endian);
        let temporaries = selected.iter().map(Selected::temporaries).max();
        let table = Table::new(&mut blob, maps, temporaries.unwrap_or(0), progs)?;
        let progress = blob.reserve(size_of::<u32>())?;
        let zero_key = blob.reserve(size_of::<u32>())?;
        let (license, _) = blob.add_text(&plan.license)?;
        let mut generator = Self {
            object,
            layout,
            blob,
            out: Emitter::new(),
            table,
            hashed,
            types: plan.btf.is_some(),
            zeros: zero_key,
            zero_key,
            license,
            loaded: selected.iter().map(|selected| selected.plan.prog).collect(),
            progress,
            steps: Vec::new(),
        };
        if !hashed {
            // Whoever runs the program may put another value there.
            let unset = plan.maps.iter().filter(|map| {
                let value = map.value.as_deref();
                generator.is_data(map.map) && value.is_none_or(is_zero)
            });
            let longest = unset.map(|map| map.spec.value_size).max().unwrap_or(0);
            generator.zeros = generator.blob.reserve(longest as usize)?;
        }
        Ok(generator)
    }

    pub(super) fn begin(&mut self, step: Step) {
        // There is memory for fewer steps than the type can count.
        let number = i32::try_from(self.steps.len()).unwrap_or(i32::MAX);
        self.steps.push(step);
        self.out.begin_step(self.progress, number);
    }

    /// Compares the data with a hash that is filled in later. Gives the places of its parts.
    ///
    /// The kernel keeps the hash of a frozen map from when it was asked for it. Only where one
    /// program alone may use the map can nobody have changed the value since.
    fn verify(&mut self) -> Vec<usize> {
        self.begin(Step::Verify);
        let fail = self.out.fail();
        self.out.push(mov64_imm(R7, -(Errno::EINVAL as i32)));
        self.out.push(ld_map_idx(R1, 0));
        self.out.push(ldx(Size::W, R2, R1, MAP_EXCL));
        self.out.jump_if(JmpOp::Ne, R2, 1, fail);
        let parts = (MAP_SHA..32).step_by(8);
        parts
            .map(|offset| self.out.compare_hash(i16::try_from(offset).unwrap_or(0)))
            .collect()
    }

    fn load_types(&mut self, types: &[u8]) -> Result<(), LightError> {
        self.begin(Step::LoadTypes);
        let data = self.blob.add(types)?;
        let attr = self.blob.reserve(BTF_ATTR_SIZE)?;
        let field = |offset| attr.field(offset);
        let size = u32::try_from(types.len()).map_err(|_too_long| LightError::TooLong)?;
        self.blob
            .set_u32(field(offset_of!(BtfLoadAttr, btf_size)), size);
        self.out
            .put_address(field(offset_of!(BtfLoadAttr, btf)), data);
        self.out.copy_log(
            field(offset_of!(BtfLoadAttr, btf_log_level)),
            field(offset_of!(BtfLoadAttr, btf_log_size)),
            field(offset_of!(BtfLoadAttr, btf_log_buf)),
        );
        self.out.command(Cmd::BTF_LOAD, attr, BTF_ATTR_SIZE);
        self.out.check();
        self.out.keep(self.table.types());
        Ok(())
    }

    fn hand_over(&mut self, maps: &[MapPlan]) {
        self.begin(Step::HandOver);
        self.out.close_all(self.table.types(), 1);
        for map in maps {
            if matches!(map.action, MapAction::Create) {
                let to = self.layout.map_fd(map.map.index());
                self.out.copy_to_ctx(self.table.map(map.map.0), to);
            }
        }
        for number in (0..).take(self.loaded.len()) {
            let to = self.layout.prog_fd(number as usize);
            self.out.copy_to_ctx(self.table.prog(number), to);
        }
        self.out.succeed();
    }

    fn finish(
        self,
        maps: &[MapPlan],
        selected: &[Selected<'_>],
        hash_slots: &[usize],
    ) -> Result<LightProgram, LightError> {
        let mut insns = self.out.finish(self.table.start(), self.table.count())?;
        let endian = self.blob.endian();
        let data = self.blob.into_bytes();
        let hash = sha256(&data);
        for (slot, part) in hash_slots.iter().zip(hash.as_chunks::<8>().0) {
            fill_in(&mut insns, *slot, *part, endian);
        }
        Ok(LightProgram {
            name: self.object.name.clone(),
            endian,
            insns,
            data,
            maps: maps
                .iter()
                .map(|map| LightMap::new(map, is_data(self.object, map.map)))
                .collect(),
            progs: selected.iter().map(LightProg::new).collect(),
            steps: self.steps,
            progress: self.progress.offset(),
            hashed: self.hashed,
        })
    }

    /// Whether a map holds a section of variables.
    pub(super) fn is_data(&self, map: MapIdx) -> bool {
        is_data(self.object, map)
    }

    /// Which of the loaded programs it is.
    pub(super) fn prog_number(&self, prog: ProgIdx) -> Option<u32> {
        let at = self.loaded.iter().position(|loaded| *loaded == prog)?;
        u32::try_from(at).ok()
    }
}

/// Puts eight bytes of a hash into the wide load that compares with them.
fn fill_in(insns: &mut [Insn], slot: usize, part: [u8; 8], endian: Endian) {
    let value = match endian {
        Endian::Little => u64::from_le_bytes(part),
        Endian::Big => u64::from_be_bytes(part),
    };
    let (low, high) = split_imm64(value);
    if let Some([first, second, ..]) = insns.get_mut(slot..) {
        first.imm = low;
        second.imm = high;
    }
}

fn is_data(object: &Object, map: MapIdx) -> bool {
    object.maps().get(map.index()).is_some_and(|map| {
        matches!(
            map.origin,
            MapOrigin::Data | MapOrigin::Constants | MapOrigin::Kconfig
        )
    })
}

impl Selected<'_> {
    /// Descriptors it needs while it is loaded.
    fn temporaries(&self) -> usize {
        self.symbols.len() + self.plan.jump_tables.len()
    }
}
