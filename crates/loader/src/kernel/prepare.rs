//! A plan with everything but its programs, and then with them.

use super::error::{KernelError, Pinned};
use super::loaded::{Loaded, LoadedMap, LoadedProgram};
use super::maps::{self, MadeMap, Maker, display_name};
use super::memlock;
use super::options::LoadOptions;
use super::pins::NewPins;
use super::programs::Loader;
use crate::model::map::position_named;
use crate::model::sec_defs::SecDef;
use crate::model::{MapIdx, SlotValue};
use crate::relocate::{AttachPlan, LoadPlan, MapAction, ProgPlan};
use crate::target::Running;
use bpfsys::cmd::{BtfLoad, LogLevel};
use bpfsys::{AttachType, BtfFd, BtfId, MapFd, TokenFd, VerifierLog};
use std::sync::Arc;

/// A plan whose types and maps are in the kernel, and none of its programs.
///
/// What was pinned goes away again unless the programs are loaded or the maps are
/// [kept](Self::into_maps).
#[derive(Debug)]
pub struct Prepared<'p> {
    plan: &'p LoadPlan,
    token: Option<Arc<TokenFd>>,
    btf: Option<BtfFd>,
    btf_log: VerifierLog,
    modules: Vec<BtfFd>,
    maps: Vec<MadeMap>,
    pins: NewPins,
    notes: Vec<String>,
}

impl LoadPlan {
    /// Loads the types, and makes the maps and fills them: everything but the programs.
    ///
    /// # Errors
    /// The first thing that the kernel refuses. Nothing of the plan is left then.
    pub fn prepare(&self, options: &LoadOptions) -> Result<Prepared<'_>, KernelError> {
        if self.endian != btf::Endian::NATIVE {
            return Err(KernelError::Endian(self.object.clone()));
        }
        let token = options.token.open()?;
        let mut notes = Vec::new();
        if options.raise_memlock {
            let kernel = Running::new();
            let kernel = match &token {
                Some(token) => kernel.with_token(Arc::clone(token)),
                None => kernel,
            };
            if let Err(errno) = memlock::raise(&kernel) {
                notes.push(format!(
                    "the limit of locked memory was not raised: {errno}"
                ));
            }
        }
        let (btf, btf_log) = self.load_btf(token.as_deref(), options, &mut notes)?;
        let modules = self.open_modules(token.as_deref())?;
        let mut pins = NewPins::default();
        let maps = Maker {
            plan: self,
            token: token.as_deref(),
            btf: btf.as_ref(),
            modules: &modules,
            pin_root: &options.pin_root,
            pins: &mut pins,
            notes: &mut notes,
        }
        .all()?;
        Ok(Prepared {
            plan: self,
            token,
            btf,
            btf_log,
            modules,
            maps,
            pins,
            notes,
        })
    }

    /// Loads everything.
    ///
    /// ```no_run
    /// use loader::kernel::LoadOptions;
    /// # fn plan() -> loader::relocate::LoadPlan { unimplemented!() }
    /// let plan = plan();
    /// let loaded = plan.load(&LoadOptions::new().pin_root("/sys/fs/bpf/mine"))?;
    /// for program in loaded.programs() {
    ///     println!("{} ({})", program.name(), program.section());
    /// }
    /// # Ok::<(), loader::kernel::KernelError>(())
    /// ```
    ///
    /// # Errors
    /// The first thing that the kernel refuses. Nothing of the plan is left then.
    pub fn load(&self, options: &LoadOptions) -> Result<Loaded, KernelError> {
        self.prepare(options)?.load(options)
    }

    fn load_btf(
        &self,
        token: Option<&TokenFd>,
        options: &LoadOptions,
        notes: &mut Vec<String>,
    ) -> Result<(Option<BtfFd>, VerifierLog), KernelError> {
        let Some(plan) = &self.btf else {
            return Ok((None, VerifierLog::default()));
        };
        // There is but one level for types: more only makes the log longer.
        let level = match options.log {
            LogLevel::Level(level) => LogLevel::Level(level.min(1)),
            other => other,
        };
        let load = BtfLoad::new(&plan.data).log_level(level).maybe_token(token);
        match load.run_with_log() {
            Ok((btf, log)) => Ok((Some(btf), log)),
            Err(source) if plan.required => Err(KernelError::Btf {
                object: self.object.clone(),
                source,
            }),
            Err(error) => {
                notes.push(format!("the types of the object were refused: {error}"));
                Ok((None, error.log().clone()))
            }
        }
    }

    fn open_modules(&self, token: Option<&TokenFd>) -> Result<Vec<BtfFd>, KernelError> {
        let opened = self.modules.iter().map(|module| {
            let id = BtfId::new(module.btf_id).ok_or_else(|| KernelError::UnknownModule {
                module: module.name.clone(),
            })?;
            let opened = match token {
                Some(token) => BtfFd::by_id_with_token(id, token),
                None => BtfFd::by_id(id),
            };
            opened.map_err(|source| KernelError::Module {
                module: module.name.clone(),
                source,
            })
        });
        opened.collect()
    }
}

impl Prepared<'_> {
    /// The descriptor of a map, by the name of its variable or section, else the one in the kernel.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&MapFd> {
        let names = self.plan.maps.iter().map(|map| (&*map.symbol, &*map.name));
        let made = self.maps.get(position_named(names, name)?)?;
        made.fd.as_ref()
    }

    /// The descriptor of a map of the object; none when it was not made.
    #[must_use]
    pub fn map_by_index(&self, map: MapIdx) -> Option<&MapFd> {
        self.maps.get(map.index())?.fd.as_ref()
    }

    /// The types of the object, if they were loaded.
    #[must_use]
    pub fn btf(&self) -> Option<&BtfFd> {
        self.btf.as_ref()
    }

    /// What was done otherwise than the plan says, in words.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Loads the programs too.
    ///
    /// # Errors
    /// The first thing that the kernel refuses. Nothing of the plan is left then.
    pub fn load(mut self, options: &LoadOptions) -> Result<Loaded, KernelError> {
        let plan = self.plan;
        let mut programs = Vec::with_capacity(plan.programs.len());
        for program in &plan.programs {
            let (fd, log) = Loader {
                plan,
                token: self.token.as_deref(),
                btf: self.btf.as_ref(),
                modules: &self.modules,
                maps: &self.maps,
                log: options.log,
                notes: &mut self.notes,
            }
            .one(program)?;
            programs.push(LoadedProgram {
                index: program.prog,
                name: program.name.clone(),
                section: program.section.clone(),
                prog_type: program.prog_type,
                attach_type: hook(program),
                module: module(plan, program),
                fd: Some(fd),
                log,
                pins: Vec::new(),
            });
        }
        self.fill_program_slots(&programs)?;
        Ok(self.finish(programs))
    }

    /// Keeps the maps and their pins, and loads no programs.
    #[must_use]
    pub fn into_maps(self) -> Loaded {
        self.finish(Vec::new())
    }

    fn fill_program_slots(&self, programs: &[LoadedProgram]) -> Result<(), KernelError> {
        for (map, made) in self.plan.maps.iter().zip(&self.maps) {
            let Some(fd) = &made.fd else {
                continue;
            };
            for slot in &map.slots {
                let SlotValue::Prog(index) = slot.value else {
                    continue;
                };
                let name = || display_name(map).to_owned();
                let found = programs.iter().find(|program| program.index == index);
                let Some(program) = found.and_then(|found| Some((&found.name, found.fd.as_ref()?)))
                else {
                    return Err(KernelError::EmptySlot {
                        map: name(),
                        index: slot.index,
                        value: Pinned::Program(format!("number {}", index.0)),
                    });
                };
                maps::set_slot(fd, slot.index, program.1).map_err(|source| KernelError::Slot {
                    map: name(),
                    index: slot.index,
                    value: Pinned::Program(program.0.clone()),
                    source,
                })?;
            }
        }
        Ok(())
    }

    fn finish(self, programs: Vec<LoadedProgram>) -> Loaded {
        let plans = self.plan.maps.iter();
        let maps = plans.zip(self.maps).map(|(plan, made)| LoadedMap {
            index: plan.map,
            name: plan.name.clone(),
            symbol: plan.symbol.clone(),
            shown: display_name(plan).to_owned(),
            skipped: match &plan.action {
                MapAction::Skip(why) => Some(why.clone()),
                MapAction::Create | MapAction::Reuse(_) => None,
            },
            fd: made.fd,
            reused: made.reused,
            pin: made.pin,
            arena: made.arena,
            arena_data_at: plan.arena_data.as_ref().map(|(at, _data)| *at),
            struct_ops: plan.struct_ops.clone(),
        });
        let loaded = Loaded {
            object: self.plan.object.clone(),
            maps: maps.collect(),
            programs,
            btf: self.btf,
            btf_log: self.btf_log,
            notes: self.notes,
        };
        self.pins.keep();
        loaded
    }
}

/// The module whose functions a program attaches to.
fn module(plan: &LoadPlan, program: &ProgPlan) -> Option<String> {
    let AttachPlan::Module { module, .. } = program.attach else {
        return None;
    };
    let found = plan.modules.get(module.0 as usize);
    found.map(|found| found.name.clone())
}

/// The hook of a program, also where the kernel is too old to be told.
fn hook(plan: &ProgPlan) -> AttachType {
    let by_section = || SecDef::find(&plan.section).map(|def| def.attach_type);
    let told = plan.expected_attach_type;
    told.or_else(by_section).unwrap_or_default()
}
