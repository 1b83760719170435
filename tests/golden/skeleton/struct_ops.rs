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
    pub const NAME: &str = "struct_ops_bpf";

    const SHAPE: u64 = 0xc39fec95de1c49c0;

    /// Object `struct_ops_bpf` in the kernel. Dropping it detaches and unloads.
    #[derive(Debug)]
    pub struct StructOpsSkel {
        /// What is attached.
        pub links: StructOpsLinks,
        bss: sk::Mapped<StructOpsBss>,
        loaded: sk::Loaded,
    }

    impl StructOpsSkel {
        /// Reads the object; nothing is in the kernel yet.
        pub fn open() -> sk::Result<OpenStructOps> {
            let object = sk::open(OBJECT, NAME, SHAPE)?;
            Ok(OpenStructOps {
                bss: sk::section(&object, 0)?,
                struct_ops: StructOpsStructOps::read(&object),
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
            let mut new = StructOpsLinks::default();
            if old.ssthresh.is_none() {
                new.ssthresh = sk::attach(&self.loaded, 0)?;
            }
            if old.cong_avoid.is_none() {
                new.cong_avoid = sk::attach(&self.loaded, 1)?;
            }
            if old.undo_cwnd.is_none() {
                new.undo_cwnd = sk::attach(&self.loaded, 2)?;
            }
            if old.init.is_none() {
                new.init = sk::attach(&self.loaded, 3)?;
            }
            if old.linked.is_none() {
                new.linked = sk::attach_map(&self.loaded, 1)?;
            }
            if old.kept.is_none() {
                new.kept = sk::attach_map(&self.loaded, 2)?;
            }
            if let Some(link) = new.ssthresh {
                self.links.ssthresh = Some(link);
            }
            if let Some(link) = new.cong_avoid {
                self.links.cong_avoid = Some(link);
            }
            if let Some(link) = new.undo_cwnd {
                self.links.undo_cwnd = Some(link);
            }
            if let Some(link) = new.init {
                self.links.init = Some(link);
            }
            if let Some(link) = new.linked {
                self.links.linked = Some(link);
            }
            if let Some(link) = new.kept {
                self.links.kept = Some(link);
            }
            Ok(())
        }

        /// Detaches everything.
        pub fn detach(&mut self) {
            self.links = StructOpsLinks::default();
        }

        /// Its maps.
        pub fn maps(&self) -> StructOpsMaps<'_> {
            StructOpsMaps(&self.loaded)
        }

        /// Its programs.
        pub fn progs(&self) -> StructOpsProgs<'_> {
            StructOpsProgs(&self.loaded)
        }

        /// The variables of `.bss`.
        pub fn bss(&self) -> StructOpsBssLive<'_> {
            StructOpsBssLive(self.bss.memory())
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

    /// Object `struct_ops_bpf` before it is loaded: all of it can be changed.
    #[derive(Debug)]
    pub struct OpenStructOps {
        /// The variables of `.bss`.
        pub bss: Box<StructOpsBss>,
        /// What implements types of the kernel.
        pub struct_ops: StructOpsStructOps,
        object: sk::model::Object,
    }

    impl OpenStructOps {
        /// Makes the maps and loads the programs.
        pub fn load(self) -> sk::Result<StructOpsSkel> {
            self.load_with(&sk::LoadOptions::new())
        }

        /// The same, with options.
        pub fn load_with(mut self, options: &sk::LoadOptions) -> sk::Result<StructOpsSkel> {
            let value = &*self.bss;
            sk::set_section(&mut self.object, 0, value);
            self.struct_ops.write(&mut self.object);
            let loaded = self.object.load(options)?;
            Ok(StructOpsSkel {
                links: StructOpsLinks::default(),
                bss: sk::mapped(&loaded, 0, sk::WRITE)?,
                loaded,
            })
        }

        /// Its maps.
        pub fn maps(&mut self) -> OpenStructOpsMaps<'_> {
            OpenStructOpsMaps(&mut self.object)
        }

        /// Its programs.
        pub fn progs(&mut self) -> OpenStructOpsProgs<'_> {
            OpenStructOpsProgs(&mut self.object)
        }

        /// All of it but the variables, whose values come from here when it is loaded.
        pub fn object(&mut self) -> &mut sk::model::Object {
            &mut self.object
        }
    }

    /// Each map of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct StructOpsMaps<'a>(&'a sk::Loaded);

    impl<'a> StructOpsMaps<'a> {
        /// The map `.bss`.
        pub fn bss(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 0)
        }

        /// The map `linked`.
        pub fn linked(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 1)
        }

        /// The map `kept`.
        pub fn kept(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 2)
        }
    }

    /// Each map of the object, to change it.
    #[derive(Debug)]
    pub struct OpenStructOpsMaps<'a>(&'a mut sk::model::Object);

    impl OpenStructOpsMaps<'_> {
        /// The map `.bss`.
        pub fn bss(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 0)
        }

        /// The map `linked`.
        pub fn linked(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 1)
        }

        /// The map `kept`.
        pub fn kept(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 2)
        }
    }

    /// Each program of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct StructOpsProgs<'a>(&'a sk::Loaded);

    impl<'a> StructOpsProgs<'a> {
        /// The program `ssthresh`.
        pub fn ssthresh(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 0)
        }

        /// The program `cong_avoid`.
        pub fn cong_avoid(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 1)
        }

        /// The program `undo_cwnd`.
        pub fn undo_cwnd(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 2)
        }

        /// The program `init`.
        pub fn init(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 3)
        }
    }

    /// Each program of the object, to change it.
    #[derive(Debug)]
    pub struct OpenStructOpsProgs<'a>(&'a mut sk::model::Object);

    impl OpenStructOpsProgs<'_> {
        /// The program `ssthresh`.
        pub fn ssthresh(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 0)
        }

        /// The program `cong_avoid`.
        pub fn cong_avoid(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 1)
        }

        /// The program `undo_cwnd`.
        pub fn undo_cwnd(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 2)
        }

        /// The program `init`.
        pub fn init(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 3)
        }
    }

    /// A program.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u32)]
    pub enum StructOpsProgram {
        /// The program `ssthresh`.
        ssthresh,
        /// The program `cong_avoid`.
        cong_avoid,
        /// The program `undo_cwnd`.
        undo_cwnd,
        /// The program `init`.
        init,
    }

    impl StructOpsProgram {
        fn from_number(number: u32) -> Option<Self> {
            match number {
                0 => Some(Self::ssthresh),
                1 => Some(Self::cong_avoid),
                2 => Some(Self::undo_cwnd),
                3 => Some(Self::init),
                _ => None,
            }
        }
    }

    /// What is attached; dropping one detaches it.
    #[derive(Debug, Default)]
    pub struct StructOpsLinks {
        pub ssthresh: Option<sk::Link>,
        pub cong_avoid: Option<sk::Link>,
        pub undo_cwnd: Option<sk::Link>,
        pub init: Option<sk::Link>,
        pub linked: Option<sk::Link>,
        pub kept: Option<sk::Link>,
    }

    /// The variables of `.bss`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct StructOpsBss {
        pub inits: u32,
    }

    /// The variables of `.bss` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct StructOpsBssLive<'a>(sk::Memory<'a>);

    impl<'a> StructOpsBssLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<StructOpsBss>> {
            self.0.read()
        }

        /// Variable `inits`.
        pub fn inits(self) -> sk::LiveMut<'a, u32> {
            self.0.live_mut(0)
        }
    }

    /// What implements types of the kernel.
    #[derive(Clone, Debug)]
    pub struct StructOpsStructOps {
        /// Map `linked`.
        pub linked: StructOpsLinkedOps,
        /// Map `kept`.
        pub kept: StructOpsKeptOps,
    }

    /// Map `linked`, a `struct tcp_congestion_ops`.
    #[derive(Clone, Debug)]
    pub struct StructOpsLinkedOps {
        /// The program that implements `ssthresh`.
        pub ssthresh: Option<StructOpsProgram>,
        /// The program that implements `cong_avoid`.
        pub cong_avoid: Option<StructOpsProgram>,
        /// The program that implements `undo_cwnd`.
        pub undo_cwnd: Option<StructOpsProgram>,
        /// The program that implements `init`.
        pub init: Option<StructOpsProgram>,
        /// Member `flags`.
        pub flags: u32,
        /// Member `name`.
        pub name: [u8; 16],
    }

    impl StructOpsLinkedOps {
        fn read(object: &sk::model::Object) -> Self {
            let ssthresh = sk::ops_program(object, 1, 0);
            let cong_avoid = sk::ops_program(object, 1, 1);
            let undo_cwnd = sk::ops_program(object, 1, 2);
            let init = sk::ops_program(object, 1, 3);
            let flags = sk::ops_value(object, 1, 32);
            let name = sk::ops_value(object, 1, 36);
            Self {
                ssthresh: ssthresh.and_then(StructOpsProgram::from_number),
                cong_avoid: cong_avoid.and_then(StructOpsProgram::from_number),
                undo_cwnd: undo_cwnd.and_then(StructOpsProgram::from_number),
                init: init.and_then(StructOpsProgram::from_number),
                flags,
                name,
            }
        }

        fn write(&self, object: &mut sk::model::Object) {
            let program = self.ssthresh.map(|program| program as u32);
            sk::set_ops_program(object, 1, 0, program);
            let program = self.cong_avoid.map(|program| program as u32);
            sk::set_ops_program(object, 1, 1, program);
            let program = self.undo_cwnd.map(|program| program as u32);
            sk::set_ops_program(object, 1, 2, program);
            let program = self.init.map(|program| program as u32);
            sk::set_ops_program(object, 1, 3, program);
            let value = &self.flags;
            sk::set_ops_value(object, 1, 32, value);
            let value = &self.name;
            sk::set_ops_value(object, 1, 36, value);
        }
    }

    /// Map `kept`, a `struct tcp_congestion_ops___newer`.
    #[derive(Clone, Debug)]
    pub struct StructOpsKeptOps {
        /// The program that implements `ssthresh`.
        pub ssthresh: Option<StructOpsProgram>,
        /// The program that implements `cong_avoid`.
        pub cong_avoid: Option<StructOpsProgram>,
        /// The program that implements `undo_cwnd`.
        pub undo_cwnd: Option<StructOpsProgram>,
        /// The program that implements `of_tomorrow`.
        pub of_tomorrow: Option<StructOpsProgram>,
        /// Member `also_of_tomorrow`.
        pub also_of_tomorrow: u64,
        /// Member `name`.
        pub name: [u8; 16],
    }

    impl StructOpsKeptOps {
        fn read(object: &sk::model::Object) -> Self {
            let ssthresh = sk::ops_program(object, 2, 0);
            let cong_avoid = sk::ops_program(object, 2, 1);
            let undo_cwnd = sk::ops_program(object, 2, 2);
            let of_tomorrow = sk::ops_program(object, 2, 3);
            let also_of_tomorrow = sk::ops_value(object, 2, 32);
            let name = sk::ops_value(object, 2, 40);
            Self {
                ssthresh: ssthresh.and_then(StructOpsProgram::from_number),
                cong_avoid: cong_avoid.and_then(StructOpsProgram::from_number),
                undo_cwnd: undo_cwnd.and_then(StructOpsProgram::from_number),
                of_tomorrow: of_tomorrow.and_then(StructOpsProgram::from_number),
                also_of_tomorrow,
                name,
            }
        }

        fn write(&self, object: &mut sk::model::Object) {
            let program = self.ssthresh.map(|program| program as u32);
            sk::set_ops_program(object, 2, 0, program);
            let program = self.cong_avoid.map(|program| program as u32);
            sk::set_ops_program(object, 2, 1, program);
            let program = self.undo_cwnd.map(|program| program as u32);
            sk::set_ops_program(object, 2, 2, program);
            let program = self.of_tomorrow.map(|program| program as u32);
            sk::set_ops_program(object, 2, 3, program);
            let value = &self.also_of_tomorrow;
            sk::set_ops_value(object, 2, 32, value);
            let value = &self.name;
            sk::set_ops_value(object, 2, 40, value);
        }
    }

    impl StructOpsStructOps {
        fn read(object: &sk::model::Object) -> Self {
            Self {
                linked: StructOpsLinkedOps::read(object),
                kept: StructOpsKeptOps::read(object),
            }
        }

        fn write(&self, object: &mut sk::model::Object) {
            self.linked.write(object);
            self.kept.write(object);
        }
    }

    /// Value of map `linked`.
    pub type StructOpsLinkedValue = types::tcp_congestion_ops;

    /// Value of map `kept`.
    pub type StructOpsKeptValue = types::tcp_congestion_ops___newer;

    /// Types of the object.
    pub mod types {
        use ::loader::skeleton::support as sk;

        /// `struct tcp_congestion_ops`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct tcp_congestion_ops {
            pub ssthresh: u64,
            pub cong_avoid: u64,
            pub undo_cwnd: u64,
            pub init: u64,
            pub flags: u32,
            pub name: [u8; 16],
            pub _pad0: [u8; 4],
        }

        /// `struct tcp_congestion_ops___newer`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct tcp_congestion_ops___newer {
            pub ssthresh: u64,
            pub cong_avoid: u64,
            pub undo_cwnd: u64,
            pub of_tomorrow: u64,
            pub also_of_tomorrow: u64,
            pub name: [u8; 16],
        }
    }
}
