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
    pub const NAME: &str = "skeleton_bpf";

    const SHAPE: u64 = 0x176891ecdac1fe02;

    /// Object `skeleton_bpf` in the kernel. Dropping it detaches and unloads.
    #[derive(Debug)]
    pub struct SkeletonSkel {
        /// What is attached.
        pub links: SkeletonLinks,
        rodata: sk::Mapped<SkeletonRodata>,
        data: sk::Mapped<SkeletonData>,
        bss: sk::Mapped<SkeletonBss>,
        kconfig: sk::Mapped<SkeletonKconfig>,
        loaded: sk::Loaded,
    }

    impl SkeletonSkel {
        /// Reads the object; nothing is in the kernel yet.
        pub fn open() -> sk::Result<OpenSkeleton> {
            let object = sk::open(OBJECT, NAME, SHAPE)?;
            Ok(OpenSkeleton {
                rodata: sk::section(&object, 1)?,
                data: sk::section(&object, 2)?,
                bss: sk::section(&object, 3)?,
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
            let mut new = SkeletonLinks::default();
            if old.on_rename.is_none() {
                new.on_rename = sk::attach(&self.loaded, 0)?;
            }
            if old.sums.is_none() {
                new.sums = sk::attach(&self.loaded, 1)?;
            }
            if let Some(link) = new.on_rename {
                self.links.on_rename = Some(link);
            }
            if let Some(link) = new.sums {
                self.links.sums = Some(link);
            }
            Ok(())
        }

        /// Detaches everything.
        pub fn detach(&mut self) {
            self.links = SkeletonLinks::default();
        }

        /// Its maps.
        pub fn maps(&self) -> SkeletonMaps<'_> {
            SkeletonMaps(&self.loaded)
        }

        /// Its programs.
        pub fn progs(&self) -> SkeletonProgs<'_> {
            SkeletonProgs(&self.loaded)
        }

        /// The variables of `.rodata`.
        pub fn rodata(&self) -> SkeletonRodataLive<'_> {
            SkeletonRodataLive(self.rodata.memory())
        }

        /// The variables of `.data`.
        pub fn data(&self) -> SkeletonDataLive<'_> {
            SkeletonDataLive(self.data.memory())
        }

        /// The variables of `.bss`.
        pub fn bss(&self) -> SkeletonBssLive<'_> {
            SkeletonBssLive(self.bss.memory())
        }

        /// The variables of `.kconfig`.
        pub fn kconfig(&self) -> SkeletonKconfigLive<'_> {
            SkeletonKconfigLive(self.kconfig.memory())
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

    /// Object `skeleton_bpf` before it is loaded: all of it can be changed.
    #[derive(Debug)]
    pub struct OpenSkeleton {
        /// The variables of `.rodata`.
        pub rodata: Box<SkeletonRodata>,
        /// The variables of `.data`.
        pub data: Box<SkeletonData>,
        /// The variables of `.bss`.
        pub bss: Box<SkeletonBss>,
        object: sk::model::Object,
    }

    impl OpenSkeleton {
        /// Makes the maps and loads the programs.
        pub fn load(self) -> sk::Result<SkeletonSkel> {
            self.load_with(&sk::LoadOptions::new())
        }

        /// The same, with options.
        pub fn load_with(mut self, options: &sk::LoadOptions) -> sk::Result<SkeletonSkel> {
            let value = &*self.rodata;
            sk::set_section(&mut self.object, 1, value);
            let value = &*self.data;
            sk::set_section(&mut self.object, 2, value);
            let value = &*self.bss;
            sk::set_section(&mut self.object, 3, value);
            let loaded = self.object.load(options)?;
            Ok(SkeletonSkel {
                links: SkeletonLinks::default(),
                rodata: sk::mapped(&loaded, 1, sk::READ)?,
                data: sk::mapped(&loaded, 2, sk::WRITE)?,
                bss: sk::mapped(&loaded, 3, sk::WRITE)?,
                kconfig: sk::mapped(&loaded, 4, sk::READ)?,
                loaded,
            })
        }

        /// Its maps.
        pub fn maps(&mut self) -> OpenSkeletonMaps<'_> {
            OpenSkeletonMaps(&mut self.object)
        }

        /// Its programs.
        pub fn progs(&mut self) -> OpenSkeletonProgs<'_> {
            OpenSkeletonProgs(&mut self.object)
        }

        /// All of it but the variables, whose values come from here when it is loaded.
        pub fn object(&mut self) -> &mut sk::model::Object {
            &mut self.object
        }
    }

    /// Each map of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct SkeletonMaps<'a>(&'a sk::Loaded);

    impl<'a> SkeletonMaps<'a> {
        /// The map `events`.
        pub fn events(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 0)
        }

        /// The map `.rodata`.
        pub fn rodata(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 1)
        }

        /// The map `.data`.
        pub fn data(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 2)
        }

        /// The map `.bss`.
        pub fn bss(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 3)
        }

        /// The map `.kconfig`.
        pub fn kconfig(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 4)
        }
    }

    /// Each map of the object, to change it.
    #[derive(Debug)]
    pub struct OpenSkeletonMaps<'a>(&'a mut sk::model::Object);

    impl OpenSkeletonMaps<'_> {
        /// The map `events`.
        pub fn events(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 0)
        }

        /// The map `.rodata`.
        pub fn rodata(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 1)
        }

        /// The map `.data`.
        pub fn data(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 2)
        }

        /// The map `.bss`.
        pub fn bss(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 3)
        }

        /// The map `.kconfig`.
        pub fn kconfig(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 4)
        }
    }

    /// Each program of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct SkeletonProgs<'a>(&'a sk::Loaded);

    impl<'a> SkeletonProgs<'a> {
        /// The program `on_rename`.
        pub fn on_rename(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 0)
        }

        /// The program `sums`.
        pub fn sums(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 1)
        }
    }

    /// Each program of the object, to change it.
    #[derive(Debug)]
    pub struct OpenSkeletonProgs<'a>(&'a mut sk::model::Object);

    impl OpenSkeletonProgs<'_> {
        /// The program `on_rename`.
        pub fn on_rename(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 0)
        }

        /// The program `sums`.
        pub fn sums(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 1)
        }
    }

    /// What is attached; dropping one detaches it.
    #[derive(Debug, Default)]
    pub struct SkeletonLinks {
        pub on_rename: Option<sk::Link>,
        pub sums: Option<sk::Link>,
    }

    /// The variables of `.rodata`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct SkeletonRodata {
        pub watched: u32,
        pub enabled: sk::Bool,
        pub _pad0: [u8; 3],
        pub how: types::kind,
        pub _pad1: [u8; 4],
        pub much: types::wide,
        pub label: [u8; 12],
        pub _pad2: [u8; 4],
    }

    /// The variables of `.rodata` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct SkeletonRodataLive<'a>(sk::Memory<'a>);

    impl<'a> SkeletonRodataLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<SkeletonRodata>> {
            self.0.read()
        }

        /// Variable `watched`.
        pub fn watched(self) -> sk::Live<'a, u32> {
            self.0.live(0)
        }

        /// Variable `enabled`.
        pub fn enabled(self) -> sk::Live<'a, sk::Bool> {
            self.0.live(4)
        }

        /// Variable `how`.
        pub fn how(self) -> sk::Live<'a, types::kind> {
            self.0.live(8)
        }

        /// Variable `much`.
        pub fn much(self) -> sk::Live<'a, types::wide> {
            self.0.live(16)
        }

        /// Variable `label`.
        pub fn label(self) -> sk::Live<'a, [u8; 12]> {
            self.0.live(24)
        }
    }

    /// The variables of `.data`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct SkeletonData {
        pub shapes: [types::shape; 2],
        pub tight: types::packed,
        pub _pad0: [u8; 1],
        pub both: types::pair,
        pub _pad1: [u8; 4],
        pub number: types::number,
        pub below: i64,
        /// `type`.
        pub type_: u32,
        /// `match`.
        pub match_: u32,
    }

    /// The variables of `.data` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct SkeletonDataLive<'a>(sk::Memory<'a>);

    impl<'a> SkeletonDataLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<SkeletonData>> {
            self.0.read()
        }

        /// Variable `shapes`.
        pub fn shapes(self) -> sk::LiveMut<'a, [types::shape; 2]> {
            self.0.live_mut(0)
        }

        /// Variable `tight`.
        pub fn tight(self) -> sk::LiveMut<'a, types::packed> {
            self.0.live_mut(64)
        }

        /// Variable `both`.
        pub fn both(self) -> sk::LiveMut<'a, types::pair> {
            self.0.live_mut(76)
        }

        /// Variable `number`.
        pub fn number(self) -> sk::LiveMut<'a, types::number> {
            self.0.live_mut(88)
        }

        /// Variable `below`.
        pub fn below(self) -> sk::LiveMut<'a, i64> {
            self.0.live_mut(96)
        }

        /// Variable `type`.
        pub fn type_(self) -> sk::LiveMut<'a, u32> {
            self.0.live_mut(104)
        }

        /// Variable `match`.
        pub fn match_(self) -> sk::LiveMut<'a, u32> {
            self.0.live_mut(108)
        }
    }

    /// The variables of `.bss`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct SkeletonBss {
        pub others: u64,
        pub count: u64,
        pub last: types::kind,
        pub seen: sk::Bool,
        pub room: [u8; 3],
    }

    /// The variables of `.bss` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct SkeletonBssLive<'a>(sk::Memory<'a>);

    impl<'a> SkeletonBssLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<SkeletonBss>> {
            self.0.read()
        }

        /// Variable `others`.
        pub fn others(self) -> sk::LiveMut<'a, u64> {
            self.0.live_mut(0)
        }

        /// Variable `count`.
        pub fn count(self) -> sk::LiveMut<'a, u64> {
            self.0.live_mut(8)
        }

        /// Variable `last`.
        pub fn last(self) -> sk::LiveMut<'a, types::kind> {
            self.0.live_mut(16)
        }

        /// Variable `seen`.
        pub fn seen(self) -> sk::LiveMut<'a, sk::Bool> {
            self.0.live_mut(20)
        }

        /// Variable `room`.
        pub fn room(self) -> sk::LiveMut<'a, [u8; 3]> {
            self.0.live_mut(21)
        }
    }

    /// The variables of `.kconfig`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct SkeletonKconfig {
        pub LINUX_KERNEL_VERSION: i32,
    }

    /// The variables of `.kconfig` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct SkeletonKconfigLive<'a>(sk::Memory<'a>);

    impl<'a> SkeletonKconfigLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<SkeletonKconfig>> {
            self.0.read()
        }

        /// Variable `LINUX_KERNEL_VERSION`.
        pub fn LINUX_KERNEL_VERSION(self) -> sk::Live<'a, i32> {
            self.0.live(0)
        }
    }

    /// Key of map `events`.
    pub type SkeletonEventsKey = u32;

    /// Value of map `events`.
    pub type SkeletonEventsValue = types::event;

    /// Types of the object.
    pub mod types {
        use ::loader::skeleton::support as sk;

        /// `enum kind`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(transparent)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct kind(pub i32);

        impl kind {
            pub const KIND_NONE: Self = Self(0);
            pub const KIND_SOME: Self = Self(7);
            pub const KIND_LESS: Self = Self(-2);
        }

        /// `enum wide`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(transparent)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct wide(pub u64);

        impl wide {
            pub const WIDE_ONE: Self = Self(1);
            pub const WIDE_MUCH: Self = Self(4294967297);
        }

        /// A struct without a name.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct shape_anon4_anon1 {
            pub low: u32,
            pub high: u32,
        }

        /// A union without a name.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct shape_anon4 {
            /// All of it.
            pub bytes: [u8; 8],
        }

        impl shape_anon4 {
            /// Member `whole`.
            pub fn whole(&self) -> u64 {
                sk::part(self, 0)
            }

            /// Changes member `whole`.
            pub fn set_whole(&mut self, value: u64) {
                sk::set_part(self, 0, &value);
            }

            /// Member `anon1`.
            pub fn anon1(&self) -> shape_anon4_anon1 {
                sk::part(self, 0)
            }

            /// Changes member `anon1`.
            pub fn set_anon1(&mut self, value: shape_anon4_anon1) {
                sk::set_part(self, 0, &value);
            }
        }

        /// `struct shape`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct shape {
            pub _pad0: [u8; 2],
            pub id: u16,
            pub _pad1: [u8; 4],
            pub anon4: shape_anon4,
            pub next: u64,
            pub tail: u8,
            pub _pad2: [u8; 7],
        }

        impl shape {
            /// Bit field `width`: 3 bits.
            pub fn width(&self) -> u64 {
                sk::bits(self, 0, 3)
            }

            /// Changes bit field `width`.
            pub fn set_width(&mut self, value: u64) {
                sk::set_bits(self, 0, 3, value);
            }

            /// Bit field `depth`: 5 bits.
            pub fn depth(&self) -> i64 {
                sk::signed_bits(self, 3, 5)
            }

            /// Changes bit field `depth`.
            pub fn set_depth(&mut self, value: i64) {
                sk::set_bits(self, 3, 5, value as u64);
            }

            /// Bit field `flat`: 1 bit.
            pub fn flat(&self) -> bool {
                sk::bits(self, 8, 1) != 0
            }

            /// Changes bit field `flat`.
            pub fn set_flat(&mut self, value: bool) {
                sk::set_bits(self, 8, 1, value.into());
            }
        }

        /// `struct packed`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C, packed)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct packed {
            pub first: u8,
            pub second: u64,
            pub third: u16,
        }

        /// A struct without a name.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct pair {
            pub x: u32,
            pub y: u32,
        }

        /// `union number`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct number {
            /// All of it.
            pub bytes: [u8; 8],
        }

        impl number {
            /// Member `integer`.
            pub fn integer(&self) -> u64 {
                sk::part(self, 0)
            }

            /// Changes member `integer`.
            pub fn set_integer(&mut self, value: u64) {
                sk::set_part(self, 0, &value);
            }

            /// Member `real`.
            pub fn real(&self) -> f64 {
                sk::part(self, 0)
            }

            /// Changes member `real`.
            pub fn set_real(&mut self, value: f64) {
                sk::set_part(self, 0, &value);
            }

            /// Member `bytes`.
            pub fn bytes(&self) -> [u8; 8] {
                sk::part(self, 0)
            }

            /// Changes member `bytes`.
            pub fn set_bytes(&mut self, value: [u8; 8]) {
                sk::set_part(self, 0, &value);
            }
        }

        /// `struct event`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct event {
            pub pid: u32,
            pub kind: kind,
            pub comm: [u8; 16],
        }
    }
}
