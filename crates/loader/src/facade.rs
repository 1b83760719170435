//! All stages in a row.

use crate::error::Error;
use crate::kernel::{LoadOptions, Loaded, TokenSource, raise_memlock};
use crate::model::{Object, ParseOptions};
use crate::relocate::{LoadPlan, PlanOptions};
use crate::target::{Running, Target, btf_from_file};
use std::path::Path;
use std::sync::Arc;

/// Reads the object in a file. Its name is the file's, up to the first dot.
///
/// ```no_run
/// let mut object = loader::open("counter.bpf.o".as_ref())?;
/// for program in object.programs_mut() {
///     program.autoload = program.name.starts_with("count_");
/// }
/// # Ok::<(), loader::Error>(())
/// ```
///
/// # Errors
/// The file cannot be read, or is no object.
#[doc(alias = "bpf_object__open_file")]
pub fn open(path: &Path) -> Result<Object, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let options = ParseOptions::for_file(&path.to_string_lossy());
    Object::parse(&bytes, &options).map_err(|source| Error::Model {
        object: options.name.clone(),
        source: Box::new(source),
    })
}

impl Object {
    /// What loading the object asks of a kernel, which need not be the one this runs on.
    ///
    /// # Errors
    /// The object needs something that the target does not have.
    pub fn plan(&self, target: &dyn Target, options: &PlanOptions) -> Result<LoadPlan, Error> {
        LoadPlan::new(self, target, options).map_err(|source| Error::Plan {
            object: self.name.clone(),
            source: Box::new(source),
        })
    }

    /// Plans for the running kernel and loads.
    ///
    /// ```no_run
    /// use loader::kernel::LoadOptions;
    ///
    /// let object = loader::open("counter.bpf.o".as_ref())?;
    /// let mut loaded = object.load(&LoadOptions::new())?;
    /// let counts = loaded.map("counts").and_then(|map| map.fd());
    /// println!("{:?}", counts.map(|map| map.info()));
    /// loaded.pin_programs("/sys/fs/bpf/counter".as_ref()).map_err(Box::new)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Any stage's. Nothing of the object is left in the kernel then.
    #[doc(alias = "bpf_object__load")]
    pub fn load(&self, options: &LoadOptions) -> Result<Loaded, Error> {
        let kernel_error = |source| Error::kernel_of(self, source);
        let token = options.token.open().map_err(kernel_error)?;
        let mut kernel = Running::new();
        let mut options = options.clone();
        if let Some(token) = token {
            kernel = kernel.with_token(Arc::clone(&token));
            options.token = TokenSource::Fd(token);
        } else {
            options.token = TokenSource::None;
        }
        // Probes load programs, which the limit may forbid.
        if options.raise_memlock {
            let _told_by_the_load = raise_memlock(&kernel);
        }
        let core_btf = match &options.core_btf {
            None => None,
            Some(path) => Some(btf_from_file(path).map_err(|source| Error::Target {
                object: self.name.clone(),
                source: Box::new(source),
            })?),
        };
        let plan_options = PlanOptions {
            kconfig: options.kconfig.clone(),
            core_btf: core_btf.map(Arc::new),
            ..PlanOptions::default()
        };
        let plan = self.plan(&kernel, &plan_options)?;
        plan.load(&options).map_err(kernel_error)
    }
}
