// Written by rbpftool; what is changed here is lost when it is written again.

#[allow(unused_imports, reason = "generated")]
pub use self::skeleton::*;

#[allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
#[allow(non_camel_case_types, non_snake_case, reason = "names of C")]
#[allow(non_upper_case_globals, clippy::all, reason = "names of C")]
#[allow(clippy::pedantic, clippy::restriction, reason = "generated")]
mod skeleton {
    use ::loader::skeleton::support as sk;

    /// The object file.
    pub const OBJECT: &[u8] = b"\
(bytes)\
";

    /// The object's name.
    pub const NAME: &str = "kconfig_bpf";

    const SHAPE: u64 = 0x01400e6e389e2eb8;

    /// Object `kconfig_bpf` in the kernel. Dropping it detaches and unloads.
    #[derive(Debug)]
    pub struct KconfigSkel {
        /// What is attached.
        pub links: KconfigLinks,
        bss: sk::Mapped<KconfigBss>,
        kconfig: sk::Mapped<KconfigKconfig>,
        loaded: sk::Loaded,
    }

    impl KconfigSkel {
        /// Reads the object; nothing is in the kernel yet.
        pub fn open() -> sk::Result<OpenKconfig> {
            let object = sk::open(OBJECT, NAME, SHAPE)?;
            Ok(OpenKconfig {
                bss: sk::section(&object, 0)?,
                object,
            })
        }

        /// Opens and loads.
        pub fn open_and_load() -> sk::Result<Self> {
            Self::open()?.load()
        }

        /// Attaches what is not attached yet and says itself where: programs by their sections,
        /// and values of the kernel's types. When one fails, none is attached that was not before.
        pub fn attach(&mut self) -> sk::Result<()> {
            let old = &self.links;
            let mut new = KconfigLinks::default();
            if old.reads.is_none() {
                new.reads = sk::attach(&self.loaded, 0)?;
            }
            if let Some(link) = new.reads {
                self.links.reads = Some(link);
            }
            Ok(())
        }

        /// Detaches everything.
        pub fn detach(&mut self) {
            self.links = KconfigLinks::default();
        }

        /// Its maps.
        pub fn maps(&self) -> KconfigMaps<'_> {
            KconfigMaps(&self.loaded)
        }

        /// Its programs.
        pub fn progs(&self) -> KconfigProgs<'_> {
            KconfigProgs(&self.loaded)
        }

        /// The variables of `.bss`.
        pub fn bss(&self) -> KconfigBssLive<'_> {
            KconfigBssLive(self.bss.memory())
        }

        /// The variables of `.kconfig`.
        pub fn kconfig(&self) -> KconfigKconfigLive<'_> {
            KconfigKconfigLive(self.kconfig.memory())
        }

        /// All of it.
        pub fn loaded(&self) -> &sk::Loaded {
            &self.loaded
        }

        /// All of it, to pin and to take descriptors.
        pub fn loaded_mut(&mut self) -> &mut sk::Loaded {
            &mut self.loaded
        }
    }

    /// Object `kconfig_bpf` before it is loaded: all of it can be changed.
    #[derive(Debug)]
    pub struct OpenKconfig {
        /// The variables of `.bss`.
        pub bss: Box<KconfigBss>,
        object: sk::model::Object,
    }

    impl OpenKconfig {
        /// Makes the maps and loads the programs.
        pub fn load(self) -> sk::Result<KconfigSkel> {
            self.load_with(&sk::LoadOptions::new())
        }

        /// The same, with options.
        pub fn load_with(mut self, options: &sk::LoadOptions) -> sk::Result<KconfigSkel> {
            let value = &*self.bss;
            sk::set_section(&mut self.object, 0, value);
            let loaded = self.object.load(options)?;
            Ok(KconfigSkel {
                links: KconfigLinks::default(),
                bss: sk::mapped(&loaded, 0, sk::WRITE)?,
                kconfig: sk::mapped(&loaded, 1, sk::READ)?,
                loaded,
            })
        }

        /// Its maps.
        pub fn maps(&mut self) -> OpenKconfigMaps<'_> {
            OpenKconfigMaps(&mut self.object)
        }

        /// Its programs.
        pub fn progs(&mut self) -> OpenKconfigProgs<'_> {
            OpenKconfigProgs(&mut self.object)
        }

        /// All of it but the variables, whose values come from here when it is loaded.
        pub fn object(&mut self) -> &mut sk::model::Object {
            &mut self.object
        }
    }

    /// Each map of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct KconfigMaps<'a>(&'a sk::Loaded);

    impl<'a> KconfigMaps<'a> {
        /// The map `.bss`.
        pub fn bss(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 0)
        }

        /// The map `.kconfig`.
        pub fn kconfig(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 1)
        }
    }

    /// Each map of the object, to change it.
    #[derive(Debug)]
    pub struct OpenKconfigMaps<'a>(&'a mut sk::model::Object);

    impl OpenKconfigMaps<'_> {
        /// The map `.bss`.
        pub fn bss(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 0)
        }

        /// The map `.kconfig`.
        pub fn kconfig(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 1)
        }
    }

    /// Each program of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct KconfigProgs<'a>(&'a sk::Loaded);

    impl<'a> KconfigProgs<'a> {
        /// The program `reads`.
        pub fn reads(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 0)
        }
    }

    /// Each program of the object, to change it.
    #[derive(Debug)]
    pub struct OpenKconfigProgs<'a>(&'a mut sk::model::Object);

    impl OpenKconfigProgs<'_> {
        /// The program `reads`.
        pub fn reads(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 0)
        }
    }

    /// What is attached; dropping one detaches it.
    #[derive(Debug, Default)]
    pub struct KconfigLinks {
        pub reads: Option<sk::Link>,
    }

    /// The variables of `.bss`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct KconfigBss {
        pub version: u32,
        pub found: u32,
    }

    /// The variables of `.bss` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct KconfigBssLive<'a>(sk::Memory<'a>);

    impl<'a> KconfigBssLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<KconfigBss>> {
            self.0.read()
        }

        /// Variable `version`.
        pub fn version(self) -> sk::LiveMut<'a, u32> {
            self.0.live_mut(0)
        }

        /// Variable `found`.
        pub fn found(self) -> sk::LiveMut<'a, u32> {
            self.0.live_mut(4)
        }
    }

    /// The variables of `.kconfig`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct KconfigKconfig {
        pub CONFIG_PHYSICAL_START: u64,
        pub LINUX_OF_TOMORROW: u64,
        pub CONFIG_BPF: types::libbpf_tristate,
        pub CONFIG_NR_CPUS: i32,
        pub CONFIG_NUMBER_OF_NO_KERNEL: u32,
        pub LINUX_KERNEL_VERSION: i32,
        pub CONFIG_HZ: u16,
        pub CONFIG_BPF_SYSCALL: sk::Bool,
        pub CONFIG_LOG_BUF_SHIFT: u8,
        pub CONFIG_NET: u8,
        pub CONFIG_OF_NO_KERNEL: sk::Bool,
        pub LINUX_HAS_BPF_COOKIE: sk::Bool,
        pub LINUX_HAS_SYSCALL_WRAPPER: sk::Bool,
        pub CONFIG_TEXT_OF_NO_KERNEL: [u8; 8],
        pub CONFIG_DEFAULT_HOSTNAME: [u8; 16],
    }

    /// The variables of `.kconfig` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct KconfigKconfigLive<'a>(sk::Memory<'a>);

    impl<'a> KconfigKconfigLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<KconfigKconfig>> {
            self.0.read()
        }

        /// Variable `CONFIG_PHYSICAL_START`.
        pub fn CONFIG_PHYSICAL_START(self) -> sk::Live<'a, u64> {
            self.0.live(0)
        }

        /// Variable `LINUX_OF_TOMORROW`.
        pub fn LINUX_OF_TOMORROW(self) -> sk::Live<'a, u64> {
            self.0.live(8)
        }

        /// Variable `CONFIG_BPF`.
        pub fn CONFIG_BPF(self) -> sk::Live<'a, types::libbpf_tristate> {
            self.0.live(16)
        }

        /// Variable `CONFIG_NR_CPUS`.
        pub fn CONFIG_NR_CPUS(self) -> sk::Live<'a, i32> {
            self.0.live(20)
        }

        /// Variable `CONFIG_NUMBER_OF_NO_KERNEL`.
        pub fn CONFIG_NUMBER_OF_NO_KERNEL(self) -> sk::Live<'a, u32> {
            self.0.live(24)
        }

        /// Variable `LINUX_KERNEL_VERSION`.
        pub fn LINUX_KERNEL_VERSION(self) -> sk::Live<'a, i32> {
            self.0.live(28)
        }

        /// Variable `CONFIG_HZ`.
        pub fn CONFIG_HZ(self) -> sk::Live<'a, u16> {
            self.0.live(32)
        }

        /// Variable `CONFIG_BPF_SYSCALL`.
        pub fn CONFIG_BPF_SYSCALL(self) -> sk::Live<'a, sk::Bool> {
            self.0.live(34)
        }

        /// Variable `CONFIG_LOG_BUF_SHIFT`.
        pub fn CONFIG_LOG_BUF_SHIFT(self) -> sk::Live<'a, u8> {
            self.0.live(35)
        }

        /// Variable `CONFIG_NET`.
        pub fn CONFIG_NET(self) -> sk::Live<'a, u8> {
            self.0.live(36)
        }

        /// Variable `CONFIG_OF_NO_KERNEL`.
        pub fn CONFIG_OF_NO_KERNEL(self) -> sk::Live<'a, sk::Bool> {
            self.0.live(37)
        }

        /// Variable `LINUX_HAS_BPF_COOKIE`.
        pub fn LINUX_HAS_BPF_COOKIE(self) -> sk::Live<'a, sk::Bool> {
            self.0.live(38)
        }

        /// Variable `LINUX_HAS_SYSCALL_WRAPPER`.
        pub fn LINUX_HAS_SYSCALL_WRAPPER(self) -> sk::Live<'a, sk::Bool> {
            self.0.live(39)
        }

        /// Variable `CONFIG_TEXT_OF_NO_KERNEL`.
        pub fn CONFIG_TEXT_OF_NO_KERNEL(self) -> sk::Live<'a, [u8; 8]> {
            self.0.live(40)
        }

        /// Variable `CONFIG_DEFAULT_HOSTNAME`.
        pub fn CONFIG_DEFAULT_HOSTNAME(self) -> sk::Live<'a, [u8; 16]> {
            self.0.live(48)
        }
    }

    /// Types of the object.
    pub mod types {
        use ::loader::skeleton::support as sk;

        /// `enum libbpf_tristate`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(transparent)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct libbpf_tristate(pub u32);

        impl libbpf_tristate {
            pub const TRISTATE_NO: Self = Self(0);
            pub const TRISTATE_YES: Self = Self(1);
            pub const TRISTATE_MODULE: Self = Self(2);
        }
    }
}
