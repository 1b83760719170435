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
    pub const NAME: &str = "arena_bpf";

    const SHAPE: u64 = 0x97ca90b77d76f0ec;

    /// Object `arena_bpf` in the kernel. Dropping it detaches and unloads.
    #[derive(Debug)]
    pub struct ArenaSkel {
        /// What is attached.
        pub links: ArenaLinks,
        loaded: sk::Loaded,
    }

    impl ArenaSkel {
        /// Reads the object; nothing is in the kernel yet.
        pub fn open() -> sk::Result<OpenArena> {
            let object = sk::open(OBJECT, NAME, SHAPE)?;
            Ok(OpenArena {
                arena: sk::section(&object, 0)?,
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
            let mut new = ArenaLinks::default();
            if old.lists.is_none() {
                new.lists = sk::attach(&self.loaded, 0)?;
            }
            if let Some(link) = new.lists {
                self.links.lists = Some(link);
            }
            Ok(())
        }

        /// Detaches everything.
        pub fn detach(&mut self) {
            self.links = ArenaLinks::default();
        }

        /// Its maps.
        pub fn maps(&self) -> ArenaMaps<'_> {
            ArenaMaps(&self.loaded)
        }

        /// Its programs.
        pub fn progs(&self) -> ArenaProgs<'_> {
            ArenaProgs(&self.loaded)
        }

        /// The variables of its arena, if that has been made.
        pub fn arena(&self) -> Option<ArenaArenaLive<'_>> {
            sk::Memory::of_arena(&self.loaded, 0).map(ArenaArenaLive)
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

    /// Object `arena_bpf` before it is loaded: all of it can be changed.
    #[derive(Debug)]
    pub struct OpenArena {
        /// The variables of `arena`.
        pub arena: Box<ArenaArena>,
        object: sk::model::Object,
    }

    impl OpenArena {
        /// Makes the maps and loads the programs.
        pub fn load(self) -> sk::Result<ArenaSkel> {
            self.load_with(&sk::LoadOptions::new())
        }

        /// The same, with options.
        pub fn load_with(mut self, options: &sk::LoadOptions) -> sk::Result<ArenaSkel> {
            let value = &*self.arena;
            sk::set_section(&mut self.object, 0, value);
            let loaded = self.object.load(options)?;
            Ok(ArenaSkel {
                links: ArenaLinks::default(),
                loaded,
            })
        }

        /// Its maps.
        pub fn maps(&mut self) -> OpenArenaMaps<'_> {
            OpenArenaMaps(&mut self.object)
        }

        /// Its programs.
        pub fn progs(&mut self) -> OpenArenaProgs<'_> {
            OpenArenaProgs(&mut self.object)
        }

        /// All of it but the variables, whose values come from here when it is loaded.
        pub fn object(&mut self) -> &mut sk::model::Object {
            &mut self.object
        }
    }

    /// Each map of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct ArenaMaps<'a>(&'a sk::Loaded);

    impl<'a> ArenaMaps<'a> {
        /// The map `arena`.
        pub fn arena(self) -> Option<&'a sk::MapFd> {
            sk::map_fd(self.0, 0)
        }
    }

    /// Each map of the object, to change it.
    #[derive(Debug)]
    pub struct OpenArenaMaps<'a>(&'a mut sk::model::Object);

    impl OpenArenaMaps<'_> {
        /// The map `arena`.
        pub fn arena(&mut self) -> &mut sk::model::Map {
            sk::map_mut(self.0, 0)
        }
    }

    /// Each program of the loaded object; none if it was not made or was taken.
    #[derive(Clone, Copy, Debug)]
    pub struct ArenaProgs<'a>(&'a sk::Loaded);

    impl<'a> ArenaProgs<'a> {
        /// The program `lists`.
        pub fn lists(self) -> Option<&'a sk::ProgFd> {
            sk::prog_fd(self.0, 0)
        }
    }

    /// Each program of the object, to change it.
    #[derive(Debug)]
    pub struct OpenArenaProgs<'a>(&'a mut sk::model::Object);

    impl OpenArenaProgs<'_> {
        /// The program `lists`.
        pub fn lists(&mut self) -> &mut sk::model::Program {
            sk::program_mut(self.0, 0)
        }
    }

    /// What is attached; dropping one detaches it.
    #[derive(Debug, Default)]
    pub struct ArenaLinks {
        pub lists: Option<sk::Link>,
    }

    /// The variables of `arena`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
    #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
    pub struct ArenaArena {
        pub total: u64,
        pub first: types::node,
        pub room: [u64; 600],
    }

    /// The variables of `arena` after loading, shared with programs.
    #[derive(Clone, Copy, Debug)]
    pub struct ArenaArenaLive<'a>(sk::Memory<'a>);

    impl<'a> ArenaArenaLive<'a> {
        /// All of it as it is now, if there is memory for a copy.
        pub fn copy(self) -> Option<Box<ArenaArena>> {
            self.0.read()
        }

        /// Variable `total`.
        pub fn total(self) -> sk::LiveMut<'a, u64> {
            self.0.live_mut(0)
        }

        /// Variable `first`.
        pub fn first(self) -> sk::LiveMut<'a, types::node> {
            self.0.live_mut(8)
        }

        /// Variable `room`.
        pub fn room(self) -> sk::LiveMut<'a, [u64; 600]> {
            self.0.live_mut(24)
        }
    }

    /// Types of the object.
    pub mod types {
        use ::loader::skeleton::support as sk;

        /// `struct node`.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]
        #[zerocopy(crate = "loader::skeleton::support::zerocopy")]
        pub struct node {
            pub next: u64,
            pub value: u64,
        }
    }
}
