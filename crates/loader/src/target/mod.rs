//! What must be known of the kernel that an object is for.
//!
//! [`Target`] is asked while an object is relocated, and only for what that object needs. There
//! are two answers to it: [`Running`], which asks the kernel it runs on and keeps what it was
//! told, and [`Described`], which holds what it is given, for tests and for plans made elsewhere.

mod described;
mod error;
mod features;
mod kallsyms;
mod kconfig;
mod module_btf;
mod running;
mod version;
mod vmlinux;

pub use described::Described;
pub use error::TargetError;
pub use running::Running;
pub use vmlinux::from_file as btf_from_file;

use bpfsys::probe::Support;
use btf::Btf;

/// Facts about a kernel. Answers do not change between two questions.
pub trait Target {
    /// The types of the kernel proper.
    ///
    /// # Errors
    /// It has none, or they cannot be read.
    fn vmlinux(&self) -> Result<&Btf<'static>, TargetError>;

    /// The types of its modules, each split from those of the kernel. Empty where they may not be
    /// seen.
    ///
    /// # Errors
    /// They cannot be read.
    fn modules(&self) -> Result<&[ModuleBtf], TargetError>;

    /// The types of one module; `None` where there is none of that name, or it may not be seen.
    ///
    /// # Errors
    /// They cannot be read.
    fn module(&self, name: &str) -> Result<Option<&ModuleBtf>, TargetError> {
        let known = self.modules()?;
        Ok(known.iter().find(|module| module.name == name))
    }

    /// Where symbols are, in the order of the names.
    ///
    /// # Errors
    /// The list cannot be read.
    fn kallsyms(&self, names: &[&str]) -> Result<Vec<Symbol>, TargetError>;

    /// What its configuration says about options (`CONFIG_…`), in the order of the names: the
    /// text behind `=`.
    ///
    /// # Errors
    /// It cannot be read.
    fn kconfig(&self, names: &[&str]) -> Result<Vec<Option<String>>, TargetError>;

    /// Whether it has a feature.
    fn has(&self, feature: Feature) -> Support;

    /// Its version as `LINUX_KERNEL_VERSION` has it: `major << 16 | minor << 8 | patch`, the patch
    /// 255 at most.
    fn version(&self) -> u32;

    /// CPUs that may ever be there.
    ///
    /// # Errors
    /// They cannot be read.
    fn possible_cpus(&self) -> Result<u32, TargetError>;

    /// Bytes of a page.
    fn page_size(&self) -> u32;
}

/// The types of a module.
#[derive(Debug)]
pub struct ModuleBtf {
    /// Its name.
    pub name: String,
    /// The id of the types in the running kernel; 0 when they come from elsewhere.
    pub id: u32,
    /// The types, split from those of the kernel.
    pub btf: Btf<'static>,
}

/// Where a symbol is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// Nowhere.
    Missing,
    /// At an address.
    At(u64),
    /// At several: the first two.
    Ambiguous(u64, u64),
    /// Somewhere, but this process is not told where (`kernel.kptr_restrict`).
    Hidden,
}

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What loading depends on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Feature {
            $($(#[$doc])* $name,)*
        }

        impl Feature {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Short name, in words joined by `_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

features! {
    /// Programs and maps have names.
    ObjectNames = "object_names";
    /// Programs refer to places in map values.
    GlobalData = "global_data";
    /// Types can be loaded at all.
    Btf = "btf";
    /// Types of functions.
    BtfFunc = "btf_func";
    /// Types of functions that are verified by themselves.
    BtfGlobalFunc = "btf_global_func";
    /// Types of variables and sections.
    BtfDatasec = "btf_datasec";
    /// Names of sections that begin with `?`.
    BtfQmarkDatasec = "btf_qmark_datasec";
    /// Types of floating-point numbers.
    BtfFloat = "btf_float";
    /// Tags of declarations.
    BtfDeclTag = "btf_decl_tag";
    /// Tags of types.
    BtfTypeTag = "btf_type_tag";
    /// Enumerations of 64 bits, and signedness of enumerations.
    BtfEnum64 = "btf_enum64";
    /// Types that describe their own layout.
    BtfLayout = "btf_layout";
    /// Arrays that can be mapped.
    ArrayMmap = "array_mmap";
    /// The attach type is checked when a program is loaded.
    ExpectedAttachType = "expected_attach_type";
    /// Kernel and user memory are read by separate helpers.
    ProbeReadKernel = "probe_read_kernel";
    /// Maps are bound to programs that do not name them.
    ProgBindMap = "prog_bind_map";
    /// Modules have types.
    ModuleBtf = "module_btf";
    /// Memory is counted by cgroup, not against the lock limit.
    MemcgAccounting = "memcg_accounting";
    /// Links of perf events.
    PerfLink = "perf_link";
    /// Programs get a value from their attachment.
    BpfCookie = "bpf_cookie";
    /// System calls have wrappers that take a `pt_regs`.
    SyscallWrapper = "syscall_wrapper";
    /// Links of many user probes.
    UprobeMulti = "uprobe_multi";
    /// Tags of arguments that say they are the context.
    ArgCtxTag = "arg_ctx_tag";
    /// The address of a map value may be anywhere in the map's 4 GiB.
    FullRangeMapValue = "full_range_map_value";
    /// A log for commands of any kind.
    CommonAttrs = "common_attrs";
}
