//! Runs loader programs.

use super::{LightProgram, Step};
use bpfsys::cmd::{
    LoaderMapInput, LoaderRun, LogLevel, MapCreate, MapFreeze, MapLookupElem, MapUpdateElem,
    ProgLoad,
};
use bpfsys::sys::keyring::Keyring;
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{LoadError, MapFd, MapType, ProgFd, ProgType, SysError, VerifierLog};
use btf::Endian;
use nix::errno::Errno;
use std::fmt;
use std::os::fd::AsFd;

/// The names that loaders of light skeletons give.
const MAP_NAME: &str = "__loader.map";
const PROG_NAME: &str = "__loader.prog";
/// Programs that read kernel memory are for compatible licences.
const LICENSE: &str = "Dual BSD/GPL";
/// Room for the log of one load.
const LOG_LEN: usize = (1 << 24) - 1;

/// How a loader program is run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunOptions<'a> {
    /// What maps get instead of what the program says, in its order; those beyond the end get
    /// nothing else. Programs with signed data take none of it.
    pub maps: Vec<MapInput<'a>>,
    /// Level of the log of each load; 0 for none.
    pub log_level: u32,
    /// A signature of the program, and whom it is verified with.
    pub signature: Option<ProgramSignature<'a>>,
}

/// What a map gets instead of what the program says.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MapInput<'a> {
    /// Entries at most.
    pub max_entries: Option<u32>,
    /// The value of a map of variables, as long as the map's values.
    pub value: Option<&'a [u8]>,
}

/// A signature of a loader program.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSignature<'a> {
    /// PKCS#7, in DER.
    pub bytes: &'a [u8],
    /// The keyring that has the key.
    pub keyring: Keyring,
}

/// What a loader program made.
#[derive(Debug)]
#[non_exhaustive]
pub struct LightLoaded {
    /// Maps, in the order of the program's; `None` for those that are not made.
    pub maps: Vec<Option<MapFd>>,
    /// Programs, in the order of the program's.
    pub progs: Vec<ProgFd>,
    /// What the verifier wrote about the loader program, if there was to be a log.
    pub loader_log: VerifierLog,
    /// What the kernel wrote about the last program that was loaded, if there was to be a log.
    pub log: VerifierLog,
}

/// Why a loader program made nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It is for machines of the other byte order.
    #[error("the loader program of '{0}' is for machines of the other byte order")]
    OtherEndian(String),
    /// A value is not as long as the map's.
    #[error("the value given for map '{map}' has {given} bytes instead of {wanted}")]
    ValueSize {
        /// The map.
        map: String,
        /// Bytes that were given.
        given: usize,
        /// Bytes of the map's values.
        wanted: u32,
    },
    /// A value or size is given that the program does not take.
    #[error("the loader program takes no size or value for map '{0}'")]
    NotTaken(String),
    /// The program's own map could not be set up.
    #[error("cannot {what} the data of the loader program")]
    Data {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: SysError,
    },
    /// The program itself was refused.
    #[error("cannot load the loader program")]
    Load(#[source] LoadError),
    /// The program did not run.
    #[error("cannot run the loader program")]
    Run(#[source] SysError),
    /// The program ran and gave up.
    #[error(transparent)]
    Step(Box<StepError>),
    /// The program did not make what it should have made.
    #[error("the loader program handed over nothing for program '{0}'")]
    NotMade(String),
}

/// The step at which a loader program gave up.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepError {
    /// The step, if the program's data tells.
    pub step: Option<Step>,
    /// The kernel's answer.
    pub errno: Errno,
    /// What the kernel wrote last: about this step, unless it is one that says nothing. Empty
    /// unless there was to be a log.
    pub log: VerifierLog,
}

/// The last lines of the log follow; `{:#}` shows all of it.
impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "{step}")?,
            None => f.write_str("a step of the loader program")?,
        }
        let errno = self.errno;
        write!(f, " failed: {} ({errno:?})", errno.desc().to_lowercase())?;
        let summary = self.log.summary();
        if f.alternate() && !self.log.is_empty() {
            write!(f, ":\n{}", self.log)
        } else if summary.is_empty() {
            Ok(())
        } else {
            write!(f, ": {summary}")
        }
    }
}

impl std::error::Error for StepError {}

impl LightProgram {
    /// Loads the program and runs it once.
    ///
    /// Its data is frozen, and where the program compares it with a hash, no other program may
    /// use it. Nothing is left behind but what is returned.
    ///
    /// # Errors
    /// The kernel refuses the program or what it asks for; it is for the other byte order.
    pub fn run(&self, options: &RunOptions<'_>) -> Result<LightLoaded, RunError> {
        if self.endian != Endian::NATIVE {
            return Err(RunError::OtherEndian(self.name.clone()));
        }
        let inputs = self.inputs(options)?;
        let data = self.data_map()?;
        let (loader, loader_log) = self.load(&data, options)?;
        let outcome = LoaderRun::new(&loader, &inputs, self.progs.len())
            .log(options.log_level, LOG_LEN)
            .run()
            .map_err(RunError::Run)?;
        if outcome.retval < 0 {
            return Err(RunError::Step(Box::new(StepError {
                step: self.step_reached(&data),
                errno: Errno::from_raw(outcome.retval.saturating_neg()),
                log: outcome.log,
            })));
        }
        let mut progs = Vec::with_capacity(outcome.progs.len());
        for (made, prog) in outcome.progs.into_iter().zip(&self.progs) {
            progs.push(made.ok_or_else(|| RunError::NotMade(prog.name.clone()))?);
        }
        Ok(LightLoaded {
            maps: outcome.maps,
            progs,
            loader_log,
            log: outcome.log,
        })
    }

    fn inputs<'a>(&self, options: &RunOptions<'a>) -> Result<Vec<LoaderMapInput<'a>>, RunError> {
        let mut inputs = vec![LoaderMapInput::default(); self.maps.len()];
        for ((to, map), given) in inputs.iter_mut().zip(&self.maps).zip(&options.maps) {
            let refused = given.value.is_some() && !map.filled;
            let any = given.value.is_some() || given.max_entries.is_some();
            if refused || (any && (self.hashed || !map.made)) {
                return Err(RunError::NotTaken(map.name.clone()));
            }
            if let Some(value) = given.value
                && value.len() != map.value_size as usize
            {
                return Err(RunError::ValueSize {
                    map: map.name.clone(),
                    given: value.len(),
                    wanted: map.value_size,
                });
            }
            to.max_entries = given.max_entries;
            to.value = given.value;
        }
        Ok(inputs)
    }

    /// The map that the program works on.
    fn data_map(&self) -> Result<MapFd, RunError> {
        let failed = |what| move |source| RunError::Data { what, source };
        let len = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        let hash = self.program_hash();
        let mut create = MapCreate::new(MapType::ARRAY, 4, len, 1).name(MAP_NAME);
        if self.hashed {
            create = create.excl_prog_hash(&hash);
        }
        let map = create.run().map_err(failed("make the map of"))?;
        MapUpdateElem::new(&map, &[0; 4], &self.data)
            .run()
            .map_err(failed("fill in"))?;
        MapFreeze::new(&map).run().map_err(failed("freeze"))?;
        if self.hashed {
            // The kernel computes the hash when it is asked for it, and the program reads that.
            map.hash().map_err(failed("hash"))?;
        }
        Ok(map)
    }

    fn load(
        &self,
        data: &MapFd,
        options: &RunOptions<'_>,
    ) -> Result<(ProgFd, VerifierLog), RunError> {
        let fds = [data.as_fd()];
        let mut load = ProgLoad::new(ProgType::SYSCALL, &self.insns)
            .license(LICENSE)
            .name(PROG_NAME)
            .flags(ProgLoadFlags::SLEEPABLE)
            .fd_array(&fds);
        if options.log_level != 0 {
            load = load.log_level(LogLevel::Level(options.log_level));
        }
        if let Some(signature) = options.signature {
            load = load.signature(signature.bytes, signature.keyring.0);
        }
        load.run_with_log().map_err(RunError::Load)
    }

    /// The step that the program was at when it gave up.
    fn step_reached(&self, data: &MapFd) -> Option<Step> {
        let mut value = vec![0; self.data.len()];
        MapLookupElem::new(data, &[0; 4]).run(&mut value).ok()?;
        let at = value.get(self.progress as usize..)?.first_chunk::<4>()?;
        let number = usize::try_from(u32::from_ne_bytes(*at)).ok()?;
        self.steps.get(number).cloned()
    }
}
